import type { Clock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import type { AwsCloud } from "../clouds/aws/cloud.ts";

type Ending = Pick<AwsCloud, "machines" | "balancers" | "volumes" | "names" | "madeZone" | "removeZone" | "removeRest">;
type Say = (line: string) => void;

const againMs = 3_000;
/** Machines take minutes to end, and a load balancer's interfaces hold its security group for as long. */
const patienceMs = 1_200_000;

/**
 * Ends everything of the cluster at AWS, in the order in which one thing lets go of the next. Each step looks at what
 * there is, so that after a crash the same call goes on. @throws CLOUD_UNAVAILABLE: something does not end
 */
export async function endAtAws(cloud: Ending, clock: Clock, keepVolumes: boolean, say: Say): Promise<void> {
  const untilEmpty = openPatience(clock, say);
  // Balancers first: nobody is sent to a machine that ends.
  await untilEmpty("load balancers", async () => {
    const { balancers, complete } = await cloud.balancers.observe();
    for (const { id } of balancers) await cloud.balancers.remove(id);
    const left = (await cloud.balancers.observe()).balancers.filter(({ addresses }) => addresses.length > 0);
    return complete ? left.length : undefined;
  });
  await untilEmpty("machines", async () => {
    const { machines, complete } = await cloud.machines.observe();
    const living = machines.filter(({ state }) => state !== "gone");
    const asked = living.filter(({ state }) => state !== "stopping").map(({ id }) => id);
    if (asked.length > 0) await cloud.machines.terminate(asked);
    return complete ? living.length : undefined;
  });
  await untilEmpty("remains of load balancers", async () => {
    const { balancers, complete } = await cloud.balancers.observe();
    for (const { id } of balancers) await cloud.balancers.remove(id);
    return complete ? balancers.length : undefined;
  });
  if (!keepVolumes) await untilEmpty("volumes", () => endVolumes(cloud));
  await endNames(cloud);
  await endZone(cloud, say);
  say("launch templates and security groups");
  await cloud.removeRest();
}

/** Repeats a step until it says that nothing is left; undefined: it could not see everything. */
function openPatience(clock: Clock, say: Say) {
  return async (what: string, step: () => Promise<number | undefined>): Promise<void> => {
    const untilMs = clock.monotonicMs() + patienceMs;
    let told: number | undefined;
    for (;;) {
      const left = await step();
      if (left === 0) return;
      if (left !== told && left !== undefined) say(`${what}: ${left} left`);
      told = left;
      if (clock.monotonicMs() >= untilMs) {
        const count = left === undefined ? "It is not known how many" : `${left}`;
        throw new DroverError("CLOUD_UNAVAILABLE", `${count} ${what} have not ended within 20 minutes: run it again.`);
      }
      await clock.sleep(againMs);
    }
  };
}

async function endVolumes({ volumes }: Ending): Promise<number | undefined> {
  const seen = await volumes.observe();
  const left = seen.volumes.filter(({ state }) => state !== "gone");
  for (const { id, state } of left) {
    if (state === "available") await volumes.remove(id);
    else if (state === "attached") await volumes.detach(id);
  }
  return seen.complete ? left.length : undefined;
}

/** @throws what Route 53 says; a VPC without the zone has no names */
async function endNames({ names }: Ending): Promise<void> {
  const records = await names.list().catch((error: unknown) => {
    if (error instanceof DroverError && error.code === "CLOUD_INVALID") return [];
    throw error;
  });
  if (records.length > 0) await names.change(records.map((record) => ({ ...record, values: [] })));
}

async function endZone({ madeZone, removeZone }: Ending, say: Say): Promise<void> {
  const id = await madeZone();
  if (id === undefined || (await removeZone(id))) return;
  say(`The private zone ${id} stays: it has records that drover did not make.`);
}
