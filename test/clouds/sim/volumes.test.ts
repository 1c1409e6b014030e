import { seededRandom } from "../../../src/base/random.ts";
import { VirtualClock } from "../../../src/base/virtual.ts";
import { openSimCloud } from "../../../src/clouds/sim/open.ts";
import { passing } from "../../contract/passing.ts";
import { volumesContract } from "../../contract/volumes.ts";
import { launchOf } from "./given.ts";

volumesContract(async () => {
  const clock = new VirtualClock();
  const { world, cloud } = openSimCloud({ clock, random: seededRandom(3) });
  const [one, two] = world.launch(launchOf("l-1", ["u1", "u2"]));
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
