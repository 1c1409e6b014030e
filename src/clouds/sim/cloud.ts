import type { Cloud, Machines, Names, Offer } from "../cloud.ts";
import { balancersOf } from "./balancers.ts";
import { volumesOf } from "./volumes.ts";
import { machineAt, type SimMachine, type World } from "./world.ts";

/** Sizes of the simulated provider: CPU in millis, memory in bytes, price in USD an hour, after a common general-purpose family. */
const types = [
  { type: "sim.small", cpuMillis: 2_000, memoryBytes: 2 * 2 ** 30, priceUsdPerHour: 0.0208 },
  { type: "sim.medium", cpuMillis: 2_000, memoryBytes: 4 * 2 ** 30, priceUsdPerHour: 0.0416 },
  { type: "sim.large", cpuMillis: 2_000, memoryBytes: 8 * 2 ** 30, priceUsdPerHour: 0.0832 },
  { type: "sim.xlarge", cpuMillis: 4_000, memoryBytes: 16 * 2 ** 30, priceUsdPerHour: 0.1664 },
  { type: "sim.2xlarge", cpuMillis: 8_000, memoryBytes: 32 * 2 ** 30, priceUsdPerHour: 0.3328 },
] as const;
const zones = ["sim-a", "sim-b", "sim-c"] as const;

function machinesOf(world: World): Machines {
  const { launchCall, otherCall } = world.latencies;
  const offers = (): Offer[] => {
    const machines = Math.max(0, world.machinesMax - world.living().length);
    const left = { machines, cpuMillis: machines * 8_000, memoryBytes: machines * 32 * 2 ** 30 };
    const common = { architecture: "amd64", capacityType: "on-demand", elastic: false, left } as const;
    return types.flatMap((type) => zones.map((zone) => ({ ...type, ...common, zone })));
  };
  const shown = (machine: SimMachine) => machineAt(machine, world.clock.monotonicMs());
  return {
    image: async (id, architecture) => ({ id, family: "debian", architecture, diskBytesMin: 0 }),
    offers: (signal) => world.call("offers", otherCall, signal, offers),
    launch: (launch, signal) => world.call("launch", launchCall, signal, () => world.launch(launch).map(shown)),
    terminate: (ids, signal) =>
      world.call("terminate", otherCall, signal, () => {
        for (const id of ids) {
          const machine = world.machines.get(id);
          if (machine) world.end(machine);
        }
      }),
    observe: (signal) =>
      world.call("observe", otherCall, signal, () => {
        const atMs = world.clock.monotonicMs() - world.faults.staleMs();
        const complete = !world.faults.incomplete();
        const visible = [...world.machines.values()].filter(({ visibleAtMs }) => visibleAtMs <= atMs);
        const seen = complete ? visible : visible.filter(() => world.random.next() < 0.5);
        return { machines: seen.map((machine) => machineAt(machine, atMs)), complete };
      }),
    console: (id, signal) =>
      world.call("console", otherCall, signal, () => world.machines.get(id)?.box.console() ?? ""),
  };
}

function namesOf(world: World): Names {
  const { otherCall } = world.latencies;
  return {
    change: (records, signal) =>
      world.call("changeNames", otherCall, signal, () => {
        for (const record of records) {
          if (record.values.length === 0) world.names.delete(record.name);
          else world.names.set(record.name, record);
        }
        world.onChange();
      }),
    list: (signal) => world.call("listNames", otherCall, signal, () => [...world.names.values()]),
  };
}

/**
 * drover's side of the simulated provider: one a drover process, over a world that goes on without it. `published`
 * tells on which address of this computer a balancer listens; without it balancers only have names.
 */
export const simCloud = (world: World, published?: (id: string) => string | undefined): Cloud => ({
  machines: machinesOf(world),
  balancers: balancersOf(world, published),
  volumes: volumesOf(world),
  names: namesOf(world),
  surroundings: async () => ({ nameservers: ["10.90.0.1"] }),
  close: async () => {},
});
