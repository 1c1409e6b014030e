import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { onDemandUsdPerHour, shippedPrices } from "../../../src/clouds/aws/prices.ts";
import { DroverHome, run } from "../../e2e/drover.ts";
import { textsOf } from "./request.ts";
import { type Rig, startRig } from "./rig.ts";

const minutes = 60_000;
const startProgram = join(import.meta.dirname, "../../../bin/start.mjs");
const home = new DroverHome();
let rig: Rig;

beforeAll(async () => {
  rig = await startRig();
  Object.assign(home.env, rig.env);
}, 3 * minutes);

afterAll(async () => {
  await start("--cleanup");
  await home.close();
  await rig?.close();
}, 2 * minutes);

const start = (...words: string[]) =>
  run([process.execPath, startProgram, ...words], { env: home.env, timeoutMs: 7 * minutes });

/** As somebody at a terminal who types `answer`. */
function startTyping(answer: string, ...words: string[]) {
  const inTerminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
  const argv = ["python3", "-c", inTerminal, process.execPath, startProgram, ...words];
  return run(argv, { env: home.env, input: `${answer}\n`, timeoutMs: minutes });
}

const atAws = () => [...rig.flags.filter((word) => word !== "--create-zone"), ...["--operator-cidr", "203.0.113.7/32"]];
const living = { "Filter.1.Name": "instance-state-name", "Filter.1.Value.1": "running", "Filter.1.Value.2": "pending" };
const ours = { "Filter.1.Name": "tag-key", "Filter.1.Value.1": "drover.dev/cluster" };

/** What costs or stays in the way, as moto has it. */
async function belongings(): Promise<string[]> {
  const answers = await Promise.all([
    rig.ask("ec2", "DescribeInstances", living),
    rig.ask("ec2", "DescribeVolumes"),
    rig.ask("ec2", "DescribeLaunchTemplates"),
    rig.ask("ec2", "DescribeSecurityGroups", ours),
    rig.ask("elasticloadbalancing", "DescribeLoadBalancers"),
    rig.ask("elasticloadbalancing", "DescribeTargetGroups"),
  ]);
  const kinds = ["instanceId", "volumeId", "launchTemplateId", "groupName", "DNSName", "TargetGroupName"];
  return answers.flatMap((answer) => kinds.flatMap((kind) => textsOf(answer, kind)));
}

/** Rows of the cost: how many of what, USD an hour for all of them; the sum's is called `together`. */
const costsIn = (said: string): Record<string, { count: number; usdPerHour: number }> =>
  Object.fromEntries(
    [...said.matchAll(/^(\d*) +(.+?) +\$(\d+\.\d{4})\/h\r?$/gm)].map(([, count, what, usd]) => [
      what,
      { count: Number(count), usdPerHour: Number(usd) },
    ]),
  );

test("what it costs is said, and after a no nothing is made", { timeout: 2 * minutes }, async () => {
  const { code, out } = await startTyping("n", ...atAws());
  expect(out).toMatch(/together +\$0\.\d{4}\/h[\s\S]*Make this at AWS\? \[y\/N\][\s\S]*Nothing was made/);
  expect(code).toBe(2);
  expect(await belongings()).toEqual([]);
  expect(existsSync(join(home.folder, "clusters"))).toBe(false);
});

test("where nobody can be asked nothing is made either", { timeout: 2 * minutes }, async () => {
  const { code, err } = await start(...atAws());
  expect(err).toContain("say --yes");
  expect(code).toBe(2);
  expect(await belongings()).toEqual([]);
});

test("after a yes it serves, is rolled under load, and loses nothing", {
  timeout: 8 * minutes,
}, async () => {
  const { code, out, err } = await start(...atAws(), "--yes");
  expect(code, err).toBe(0);
  expect(err).toMatch(/^public\.ecr\.aws\/nginx\/nginx:1\.28 on web-/m);
  const report = JSON.parse(out);
  expect(report).toMatchObject({ lost: 0 });
  expect(report.sent).toBeGreaterThan(100);
  for (const figure of ["firstReadySeconds", "allReadySeconds", "rolloutSeconds"])
    expect(report[figure]).toBeGreaterThan(0);
  await expectCostOfAll(costsIn(err));
  const [hostname = ""] = textsOf(await rig.ask("elasticloadbalancing", "DescribeLoadBalancers"), "DNSName");
  const page = await fetch(await rig.front.reach(hostname, 80));
  expect(await page.text()).toMatch(/nginx:1\.29 on web-/);
});

/** What was said beforehand is what stands there now, at list prices. */
async function expectCostOfAll(costs: ReturnType<typeof costsIn>): Promise<void> {
  const machines = textsOf(await rig.ask("ec2", "DescribeInstances", living), "instanceType");
  const zones = textsOf(await rig.ask("elasticloadbalancing", "DescribeLoadBalancers"), "ZoneName");
  const [type = ""] = machines;
  expect(machines).toEqual([type, type]);
  expect(zones.length).toBeGreaterThan(0);
  expect(costs[type]?.usdPerHour).toBeCloseTo(2 * (onDemandUsdPerHour(shippedPrices, type) ?? 0), 4);
  const addresses = machines.length + zones.length;
  expect(costs["public IPv4 addresses"]).toEqual({ count: addresses, usdPerHour: expect.closeTo(addresses * 0.005) });
  expect(costs["network load balancers, traffic not counted"]).toEqual({ count: 1, usdPerHour: 0.0225 });
  const { together, ...parts } = costs;
  const sum = Object.values(parts).reduce((total, { usdPerHour }) => total + usdPerHour, 0);
  expect(together?.usdPerHour).toBeCloseTo(sum, 3);
}

test("the clean-up leaves nothing of it, here and at AWS", { timeout: 4 * minutes }, async () => {
  const { code, err } = await start("--cleanup");
  expect(code, err).toBe(0);
  expect(await belongings()).toEqual([]);
  expect(existsSync(join(home.folder, "clusters/demo-aws"))).toBe(false);
});
