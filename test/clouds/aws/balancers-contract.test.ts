import { openAwsBalancers } from "../../../src/clouds/aws/balancers.ts";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { openNetworks } from "../../../src/clouds/aws/network.ts";
import { openSecurityGroups } from "../../../src/clouds/aws/security-groups.ts";
import type { Balancers } from "../../../src/clouds/balancer.ts";
import { ec2Latencies } from "../../../src/clouds/sim/aws/latencies.ts";
import { type BalancersBench, balancersContract } from "../../contract/balancers.ts";
import { openFake } from "../sim/aws/setup.ts";
import { launch } from "./balancer-parts.ts";

const cluster = "test";
const stepMs = 3_000;
const untilMs = 1_800_000;

/** The fake with AWS' own latencies, on virtual time. */
async function open(): Promise<BalancersBench> {
  const fallen = new Map<string, number>();
  const silentPort = 9;
  const fake = openFake({ latencies: ec2Latencies });
  const { world } = fake;
  const { serving } = world.bodies;
  world.bodies = {
    ...world.bodies,
    serving(instance, port) {
      const fallenMs = fallen.get(instance.id);
      if (fallenMs !== undefined) return { serves: false, sinceMs: fallenMs };
      return port === silentPort ? { serves: false, sinceMs: instance.runningAtMs } : serving(instance, port);
    },
  };
  const { clock, through } = fake;
  const send = openSend(fake.connect(), clock);
  const networks = openNetworks(send, clock, { cluster });
  const securityGroups = openSecurityGroups(send, clock, networks, { cluster });
  const log = { warn: () => {} };
  const inner = openAwsBalancers({ send, clock, cluster, networks, securityGroups, log });
  const balancers: Balancers = {
    ensure: (spec) => through(inner.ensure(spec)),
    observe: () => through(inner.observe()),
    remove: (id) => through(inner.remove(id)),
  };
  const machine = async (port: number) => {
    const [machineId = ""] = await launch(fake, 1);
    await clock.advance(60_000);
    return { machineId, address: "", port };
  };
  return {
    balancers,
    serving: () => machine(8080),
    silent: () => machine(silentPort),
    async fall(machineId) {
      fallen.set(machineId, clock.monotonicMs());
    },
    async until(what, check) {
      const startedMs = clock.monotonicMs();
      while (!(await check())) {
        if (clock.monotonicMs() - startedMs > untilMs) throw new Error(`Not within ${untilMs / 60_000} min: ${what}`);
        await clock.advance(stepMs);
      }
    },
    close: async () => {},
  };
}

balancersContract(open, { carries: false });
