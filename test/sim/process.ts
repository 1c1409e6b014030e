import type { Boxes } from "../../src/clouds/box.ts";
import type { Cloud } from "../../src/clouds/cloud.ts";
import type { Client } from "../../src/registry/client.ts";

/** What a drover process holds of the outside. */
export type Ports = { client: Client; cloud: Cloud; boxes: Boxes };

/** A process dies at its `callsLeft`th call: before it is made, or after it has taken effect but before its answer. */
export type Mortality = { dead: boolean; callsLeft: number; afterEffect: boolean };

/** Methods that give no promise are no calls to the outside. */
const local = new Set(["follow", "contact", "onChange", "subscribe"]);

/** What a dead process waits for. */
const never = <T>(): Promise<T> => new Promise(() => {});

/** The methods of `target` as a mortal process has them: once it is dead none of them does or answers anything. */
function mortalMethods<T extends object>(target: T, mortality: Mortality): T {
  const wrap =
    (method: (...given: unknown[]) => Promise<unknown>) =>
    (...given: unknown[]) => {
      if (mortality.dead) return never();
      const isLast = --mortality.callsLeft === 0;
      if (isLast && !mortality.afterEffect) {
        mortality.dead = true;
        return never();
      }
      const result = method.apply(target, given);
      if (isLast) mortality.dead = true;
      return result.then(
        (value) => (mortality.dead ? never() : value),
        (error: unknown) => (mortality.dead ? never() : Promise.reject(error)),
      );
    };
  const methods = Object.entries(target).map(([name, member]) => {
    return [name, typeof member === "function" && !local.has(name) ? wrap(member) : member];
  });
  return Object.fromEntries(methods);
}

/** `ports` as a process sees them that dies by `mortality`. */
export function mortal({ client, cloud, boxes }: Ports, mortality: Mortality): Ports {
  const subscribe: Client["subscribe"] = (listener) =>
    client.subscribe((change) => {
      if (!mortality.dead) listener(change);
    });
  const onChange: Boxes["onChange"] = (listener) =>
    boxes.onChange((id) => {
      if (!mortality.dead) listener(id);
    });
  return {
    client: { ...mortalMethods(client, mortality), subscribe },
    cloud: {
      ...cloud,
      machines: mortalMethods(cloud.machines, mortality),
      balancers: mortalMethods(cloud.balancers, mortality),
      names: mortalMethods(cloud.names, mortality),
    },
    boxes: { ...mortalMethods(boxes, mortality), onChange },
  };
}
