import { seededRandom } from "../../../src/base/random.ts";
import { VirtualClock } from "../../../src/base/virtual.ts";
import type { Launch } from "../../../src/clouds/cloud.ts";
import { openSimCloud } from "../../../src/clouds/sim/open.ts";
import { passing } from "../../contract/passing.ts";
import { volumesContract } from "../../contract/volumes.ts";

const launch: Launch = {
  id: "l-1",
  cluster: "test",
  template: {
    hash: "0123456789abcdef",
    image: "debian-12",
    userData: "",
    architecture: "amd64",
    cpuMillis: 500,
    memoryBytes: 2 ** 29,
    diskBytes: 2 ** 33,
    prefetch: [],
  },
  placement: { type: "sim.small", zone: "sim-a", capacityType: "on-demand" },
  slots: ["u1", "u2"],
  owner: { namespace: "default", kind: "ReplicaSet", name: "web" },
  names: ["web-1", "web-2"],
};

volumesContract(async () => {
  const clock = new VirtualClock();
  const { world, cloud } = openSimCloud({ clock, random: seededRandom(3) });
  const [one, two] = world.launch(launch);
  await clock.advance(60_000);
  return {
    volumes: passing(cloud.volumes, clock),
    zone: "sim-a",
    machineIds: [one?.id ?? "", two?.id ?? ""],
    async endMachine(id) {
      const machine = world.machines.get(id);
      if (machine) world.end(machine);
    },
    pause: () => clock.advance(1_000),
  };
});
