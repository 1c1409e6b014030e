import type { Machine } from "../../src/clouds/cloud.ts";
import type { LaunchRecord } from "../../src/registry/view.ts";
import type { Bug } from "./simulation.ts";

/** Mistakes that a change could make, planted between drover and the outside: each must break a rule that is checked. */
export const bugs: Readonly<Record<string, Bug>> = {
  "a launch without its record": (ports) => ({
    ...ports,
    client: {
      ...ports.client,
      create: async (resource, object, options) => {
        if (resource !== "launches.drover.dev") return ports.client.create(resource, object, options);
        await ports.cloud.machines.launch((object as unknown as LaunchRecord).spec);
        return object;
      },
    },
  }),
  "a terminate before the drain": (ports) => ({
    ...ports,
    cloud: {
      ...ports.cloud,
      balancers: {
        ...ports.cloud.balancers,
        observe: async (signal) => {
          const seen = await ports.cloud.balancers.observe(signal);
          const drained = ({ state, ...target }: (typeof seen.balancers)[number]["targets"][number]) => ({
            ...target,
            state: state === "draining" ? ("drained" as const) : state,
          });
          return { ...seen, balancers: seen.balancers.map((one) => ({ ...one, targets: one.targets.map(drained) })) };
        },
      },
    },
  }),
  "a second bind": (ports, { world }) => ({
    ...ports,
    boxes: {
      ...ports.boxes,
      bind: async (machineId, binding, signal) => {
        await ports.boxes.bind(machineId, binding, signal);
        const free = world.living().find(({ box }) => box.answers() && box.binding() === undefined);
        free?.box.bind(binding);
      },
    },
  }),
  "a new token at every repeat": (ports, { random }) => ({
    ...ports,
    cloud: {
      ...ports.cloud,
      machines: {
        ...ports.cloud.machines,
        launch: (launch, signal) => {
          const id = `${launch.id}-${Math.floor(random.next() * 1e6)}`;
          return ports.cloud.machines.launch({ ...launch, id }, signal);
        },
      },
    },
  }),
  "what a poll does not show taken for gone": (ports) => {
    const known = new Map<string, Machine>();
    return {
      ...ports,
      cloud: {
        ...ports.cloud,
        machines: {
          ...ports.cloud.machines,
          observe: async (signal) => {
            const { machines } = await ports.cloud.machines.observe(signal);
            const shown = new Set(machines.map(({ id }) => id));
            for (const machine of machines) known.set(machine.id, machine);
            const missing = [...known.values()].filter(({ id }) => !shown.has(id));
            return {
              machines: [...machines, ...missing.map((one) => ({ ...one, state: "gone" as const }))],
              complete: true,
            };
          },
        },
      },
    };
  },
  "machines without a record swept away": (ports, { strangers }) => ({
    ...ports,
    cloud: {
      ...ports.cloud,
      machines: {
        ...ports.cloud.machines,
        terminate: (ids, signal) => ports.cloud.machines.terminate([...ids, ...strangers], signal),
      },
    },
  }),
  "a terminate that is forgotten": (ports) => ({
    ...ports,
    cloud: { ...ports.cloud, machines: { ...ports.cloud.machines, terminate: async () => {} } },
  }),
  "an answer before the sync": (ports, { disk }) => {
    disk.answersEarly = true;
    return ports;
  },
  "two Pods where one was wanted": (ports) => ({
    ...ports,
    client: {
      ...ports.client,
      create: async (resource, object, options) => {
        if (resource === "pods") await ports.client.create(resource, object, options);
        return ports.client.create(resource, object, options);
      },
    },
  }),
  "a stop before the drain": (ports, { world }) => ({
    ...ports,
    cloud: {
      ...ports.cloud,
      balancers: {
        ...ports.cloud.balancers,
        ensure: async (spec, signal) => {
          await ports.cloud.balancers.ensure(spec, signal);
          for (const { machineId, draining } of spec.groups.flatMap(({ targets }) => targets)) {
            if (draining) void world.machines.get(machineId)?.box.stop(0);
          }
        },
      },
    },
  }),
};
