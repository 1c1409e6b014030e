import { describe } from "vitest";
import { seededRandom } from "../../../src/base/random.ts";
import { VirtualClock } from "../../../src/base/virtual.ts";
import { openSimCloud } from "../../../src/clouds/sim/open.ts";
import { machinesContract } from "../../contract/machines.ts";
import { namesContract } from "../../contract/names.ts";
import { passing } from "../../contract/passing.ts";
import { launchOf } from "./given.ts";

/** What the ports promise, by the simulated cloud. */

function open() {
  const clock = new VirtualClock();
  const { cloud, connect } = openSimCloud({ clock, random: seededRandom(5) });
  return { clock, cloud, connect: () => connect().cloud };
}

describe("machines", () =>
  machinesContract(async () => {
    const { clock, cloud, connect } = open();
    const slots = (id: string, count: number) => Array.from({ length: count }, (_, slot) => `${id}-pod-${slot}`);
    return {
      machines: passing(cloud.machines, clock),
      launchOf: (id, count) => launchOf(id, slots(id, count)),
      reopen: async () => passing(connect().machines, clock),
      pause: () => clock.advance(2_000),
    };
  }));

describe("names", () =>
  namesContract(async () => {
    const { clock, cloud, connect } = open();
    return { names: passing(cloud.names, clock), reopen: async () => passing(connect().names, clock) };
  }));
