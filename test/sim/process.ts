import type { Clock } from "../../src/base/clock.ts";
import type { Boxes } from "../../src/clouds/box.ts";
import type { Cloud } from "../../src/clouds/cloud.ts";
import type { Client } from "../../src/registry/client.ts";

/** What a drover process holds of the outside. */
export type Ports = { client: Client; cloud: Cloud; boxes: Boxes };

/** When a process dies at a call: before it is made, while it is under way, or when it is done but not yet answered. */
export const moments = ["before", "during", "after"] as const;
/** A process dies at its `callsLeft`th call. */
export type Mortality = { dead: boolean; callsLeft: number; moment: (typeof moments)[number] };

/** Methods that give no promise are no calls to the outside. */
const local = new Set(["follow", "contact", "onChange", "subscribe", "identifyWith", "problem"]);

/** How long a process lives on after the call during which it dies: about as long as a disk takes to begin a sync. */
const lastMs = 2;

/** What a dead process waits for. */
const never = <T>(): Promise<T> => new Promise(() => {});

/** The methods of `target` as a mortal process has them: once it is dead none of them does or answers anything. */
function mortalMethods<T extends object>(target: T, mortality: Mortality, clock: Clock): T {
  const wrap =
    (method: (...given: unknown[]) => Promise<unknown>) =>
    (...given: unknown[]) => {
      if (mortality.dead) return never();
      const ends = --mortality.callsLeft === 0 ? mortality.moment : undefined;
      const die = () => {
        mortality.dead = true;
      };
      if (ends === "before") die();
      if (ends === "during") void clock.sleep(lastMs).then(die);
      if (mortality.dead) return never();
      const result = method.apply(target, given);
      if (ends === "after") void result.then(die, die);
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
export function mortal({ client, cloud, boxes }: Ports, mortality: Mortality, clock: Clock): Ports {
  const wrap = <T extends object>(target: T): T => mortalMethods(target, mortality, clock);
  const subscribe: Client["subscribe"] = (listener) =>
    client.subscribe((change) => {
      if (!mortality.dead) listener(change);
    });
  const onChange: Boxes["onChange"] = (listener) =>
    boxes.onChange((id) => {
      if (!mortality.dead) listener(id);
    });
  return {
    client: { ...wrap(client), subscribe },
    cloud: {
      ...cloud,
      machines: wrap(cloud.machines),
      balancers: wrap(cloud.balancers),
      names: wrap(cloud.names),
    },
    boxes: { ...wrap(boxes), onChange },
  };
}
