import { expect, onTestFinished, test } from "vitest";
import { interruptSpot } from "../../src/clouds/sim/aws/accidents.ts";
import { webDeployment, webService } from "../controllers/cluster.ts";
import { manager, openAwsCluster } from "./cluster.ts";
import { losing, readyPods } from "./web.ts";

/** More of them: `SEEDS=30 npx vitest run test/aws/spot`. */
const seeds = Array.from({ length: Number(process.env["SEEDS"] ?? 4) }, (_, index) => index + 1);

test.for(seeds)(
  "a spot instance that is taken away is drained and replaced in its two minutes (seed %d)",
  async (seed) => {
    const cluster = await openAwsCluster({ seed });
    onTestFinished(cluster.close);
    const { world, clock } = cluster;
    // The target of a replacement takes its time, the notice is two minutes: nothing may be sent to a machine that is gone.
    const deployment = webDeployment(3);
    const { template } = deployment.spec as { template: { spec: object } };
    Object.assign(template.spec, { nodeSelector: { "karpenter.sh/capacity-type": "spot" } });
    await cluster.client.create("services", webService() as never, manager);
    await cluster.client.create("deployments.apps", deployment as never, manager);
    await cluster.until("all serve", () => readyPods(cluster).length === 3);
    const [victim] = [...world.instances.values()];
    expect(victim?.lifecycle).toBe("spot");
    if (!victim) return;
    interruptSpot(world, victim);
    const lost: string[] = [];
    const endMs = clock.monotonicMs() + 600_000;
    while (clock.monotonicMs() < endMs) {
      await clock.advance(1_000);
      lost.push(...losing(cluster));
    }
    expect(cluster.events("MachineLeaving").join()).toMatch(/takes the machine away at .*: the Pod is replaced/);
    expect(readyPods(cluster).length).toBe(3);
    expect(readyPods(cluster).map(({ spec }) => spec.nodeName)).not.toContain(victim.id);
    expect(lost).toEqual([]);
  },
);
