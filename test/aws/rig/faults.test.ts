import { DescribeInstancesCommand, EC2Client } from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { machineOf } from "../../../src/clouds/aws/instance.ts";
import { type RiggedDrover, startRiggedDrover } from "./drover.ts";
import type { FaultRule } from "./faults.ts";
import { textsOf } from "./request.ts";

const minutes = 60_000;
const replicas = 4;
let drover: RiggedDrover;

beforeAll(async () => {
  drover = await startRiggedDrover({ seed: 7 });
}, 3 * minutes);

afterAll(() => drover?.close(), minutes);

/** A bad day: a tenth of everything is refused, a twentieth breaks off, lists are old, and some calls arrive twice. */
const badDay: readonly FaultRule[] = [
  { fault: "lost-reply", share: 1, times: 1, actions: /^RunInstances$/ },
  { fault: "duplicate", share: 1, times: 1, actions: /^RunInstances$/ },
  { fault: "duplicate", share: 1, times: 1, actions: /^CreateLoadBalancer$/ },
  { fault: "throttle", share: 0.1 },
  { fault: "lost-reply", share: 0.05 },
  { fault: "lost-request", share: 0.05 },
  { fault: "duplicate", share: 0.05 },
  { fault: "stale", share: 0.2 },
  { fault: "slow", share: 0.1 },
];

/** Instances that were ever launched, by the Pod that they were launched for. */
async function launchedFor(): Promise<Map<string, string[]>> {
  const credentials = { accessKeyId: "moto", secretAccessKey: "moto" };
  const client = new EC2Client({ endpoint: drover.rig.moto.url, region: "us-east-1", credentials });
  const { Reservations = [] } = await client.send(new DescribeInstancesCommand({}));
  client.destroy();
  const found = new Map<string, string[]>();
  for (const { id, claim } of Reservations.flatMap(({ Instances = [] }) => Instances.map(machineOf)).flatMap(
    (one) => one ?? [],
  )) {
    const uid = claim?.podUid ?? "nobody";
    found.set(uid, [...(found.get(uid) ?? []), id]);
  }
  return found;
}

test("on a bad day a rollout ends, with one instance for each Pod and none left over", {
  timeout: 8 * minutes,
}, async () => {
  const { k, rig } = drover;
  rig.faults.use(badDay);
  await k(`create deployment web --image=web:1 --replicas=${replicas} --port=8080`);
  await k("expose deployment web --type=LoadBalancer --port=80 --target-port=8080");
  await k("rollout status deployment/web --timeout=200s");
  await k("set image deployment/web web=web:2");
  await k("rollout status deployment/web --timeout=200s");
  for (const fault of ["lost-reply", "duplicate", "throttle"] as const)
    expect(rig.faults.counts[fault], fault).toBeGreaterThan(0);
  const url = await drover.url("service/web");
  await expect.poll(() => drover.page(url), { timeout: 30_000 }).toMatch(/^web:2 on /);
  await k("delete deployment,service web --timeout=120s");
  rig.faults.use([]);
  const launched = await launchedFor();
  expect(launched.size).toBeGreaterThanOrEqual(2 * replicas);
  for (const [uid, ids] of launched) expect(ids, `instances of Pod ${uid}`).toHaveLength(1);
  const running = { "Filter.1.Name": "instance-state-name", "Filter.1.Value.1": "running" };
  const left = async () => textsOf(await rig.ask("ec2", "DescribeInstances", running), "instanceId");
  await expect.poll(left, { timeout: 90_000 }).toEqual([]);
  const balancers = async () => textsOf(await rig.ask("elasticloadbalancing", "DescribeLoadBalancers"), "DNSName");
  await expect.poll(balancers, { timeout: 90_000 }).toEqual([]);
});
