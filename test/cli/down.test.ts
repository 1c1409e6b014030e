import { ChangeResourceRecordSetsCommand } from "@aws-sdk/client-route-53";
import { afterEach, describe, expect, test } from "vitest";
import { endAtAws } from "../../src/cli/down-aws.ts";
import { costLines, findBelongings, isNothing, rowsOf } from "../../src/cli/down-belongings.ts";
import { endOne } from "../../src/cli/down-gc.ts";
import { openAwsCloud } from "../../src/clouds/aws/cloud.ts";
import type { BalancerSpec } from "../../src/clouds/balancer.ts";
import { stateAt } from "../../src/clouds/sim/aws/instances.ts";
import { ec2Latencies } from "../../src/clouds/sim/aws/latencies.ts";
import { launchOf } from "../clouds/aws/parts.ts";
import { openFake } from "../clouds/sim/aws/setup.ts";
import { DroverHome } from "../e2e/drover.ts";

type Fake = ReturnType<typeof openFake>;

const cloudOn = ({ clients, clock }: Fake, cluster = "test", createZone = false) =>
  openAwsCloud({ clients, clock, cluster, createZone, region: "us-east-1", onWarning: () => undefined });

const balancer: BalancerSpec = {
  ...{ id: "web", cluster: "test", kind: "network", name: "default/web", scheme: "internal" },
  listeners: [{ port: 80, protocol: "TCP", forward: [{ groupId: "80-TCP", weight: 1 }] }],
  groups: [{ id: "80-TCP", protocol: "TCP", targets: [], drainSeconds: 30 }],
  sourceRanges: [],
  annotations: {},
};

/** Two machines, a balancer, an attached volume, a name; and as much of another cluster, which must stay. */
async function furnished(seed: number): Promise<Fake> {
  const fake = openFake({ seed, hostedZones: ["cluster.local"], latencies: ec2Latencies });
  const { through } = fake;
  for (const cluster of ["test", "other"]) {
    const cloud = cloudOn(fake, cluster);
    const launched = await through(cloud.machines.launch({ ...launchOf(`l-${cluster}`, 2), cluster }));
    await through(cloud.balancers.ensure({ ...balancer, cluster, id: `${cluster}-web` }));
    const volume = { id: `pv-${cluster}`, cluster, name: "default/data", zone: "us-east-1a", sizeBytes: 2 ** 30 };
    await through(cloud.volumes.ensure({ ...volume, parameters: {} }));
    await fake.clock.advance(120_000);
    await through(cloud.volumes.attach(volume.id, launched[0]?.id ?? ""));
  }
  await through(
    cloudOn(fake).names.change([
      { name: "web.default.svc.cluster.local", type: "A", values: ["10.0.0.1"], ttlSeconds: 5 },
    ]),
  );
  await fake.clock.advance(60_000);
  return fake;
}

/** What is left of a cluster, by the fake's own books. */
function leftOf({ world, clock }: Fake, cluster: string) {
  const isOf = ({ tags }: { tags: ReadonlyMap<string, string> }) => tags.get("drover.dev/cluster") === cluster;
  const living = [...world.instances.values()].filter((one) => stateAt(one, clock.monotonicMs()) !== "terminated");
  return {
    instances: living.filter(isOf).length,
    loadBalancers: [...world.loadBalancers.values()].filter(isOf).length,
    targetGroups: [...world.targetGroups.values()].filter(isOf).length,
    securityGroups: [...world.securityGroups.values()].filter(isOf).length,
    launchTemplates: [...world.launchTemplates.values()].filter(isOf).length,
  };
}

const nothing = { instances: 0, loadBalancers: 0, targetGroups: 0, securityGroups: 0, launchTemplates: 0 };

describe("on the fake", () => {
  test("all that a cluster has is listed with its price, ended, and nothing of another is touched", async () => {
    const fake = await furnished(1);
    const cloud = cloudOn(fake);
    const before = leftOf(fake, "other");
    expect(Math.min(...Object.values(before))).toBeGreaterThan(0);
    expect(leftOf(fake, "test")).toEqual(before);
    const found = await fake.through(findBelongings(cloud, "test"));
    const kinds = rowsOf(found).map(([kind]) => kind);
    expect([...new Set(kinds)]).toEqual(["machine", "balancer", "volume", "name", "launch template", "security group"]);
    expect(rowsOf(found)[0]?.join(" ")).toMatch(/machine i-\w+ t3.micro in us-east-1a, 0.010 USD\/h default\/web-5d4-/);
    const [sum = ""] = costLines(found, false);
    // Two t3.micro, their disks and the volume, a balancer.
    expect(Number(/([\d.]+) USD\/h/.exec(sum)?.[1])).toBeGreaterThan(2 * 0.0104 + 0.0225);
    expect(Number(/([\d.]+) USD\/h/.exec(sum)?.[1])).toBeLessThan(0.08);
    const said: string[] = [];
    await fake.through(endAtAws(cloud, fake.clock, false, (line) => said.push(line)));
    expect(leftOf(fake, "test")).toEqual(nothing);
    expect(isNothing(await fake.through(findBelongings(cloudOn(fake), "test")))).toBe(true);
    expect(leftOf(fake, "other")).toEqual(before);
    expect(said.join("\n")).toContain("machines: 2 left");
    await fake.through(endAtAws(cloudOn(fake), fake.clock, false, () => undefined));
  });

  test("volumes that are kept stay, with their data", async () => {
    const fake = await furnished(2);
    await fake.through(endAtAws(cloudOn(fake), fake.clock, true, () => undefined));
    const { volumes } = await fake.through(cloudOn(fake).volumes.observe());
    expect(volumes.filter(({ state }) => state !== "gone").map(({ id }) => id)).toEqual(["pv-test"]);
    expect(leftOf(fake, "test")).toEqual(nothing);
  });

  const web = { name: "web.default.svc.cluster.local", type: "A", values: ["10.0.0.1"], ttlSeconds: 5 } as const;

  test.for([
    ["that drover made goes, with its names", {}, true, ""],
    ["that somebody else keeps stays", { "drover.dev/kept-by": "terraform" }, false, ""],
    ["that drover made and had no time to tag goes", "untagged", true, ""],
    ["of which nobody says whose it is stays", "somebody's", false, ""],
    ["with somebody's record stays, and that is said", {}, true, "The private zone Z"],
  ] as const)("a private zone %s", async ([, tags, isListed, said]) => {
    const fake = openFake({ hostedZones: [] });
    const cloud = cloudOn(fake, "test", true);
    await fake.through(cloud.names.change([web]));
    const [zone] = [...fake.world.hostedZones.values()];
    if (typeof tags === "string") zone?.tags.clear();
    else for (const [key, value] of Object.entries<string>(tags)) zone?.tags.set(key, value);
    if (zone && tags === "somebody's") zone.callerReference = "a console";
    const own = { Name: "mine.cluster.local", Type: "TXT" as const, TTL: 5, ResourceRecords: [{ Value: '"x"' }] };
    const Changes = [{ Action: "CREATE" as const, ResourceRecordSet: own }];
    const change = new ChangeResourceRecordSetsCommand({ HostedZoneId: zone?.id, ChangeBatch: { Changes } });
    if (said !== "") await fake.through(fake.route53(change));
    const found = await fake.through(findBelongings(cloud, "test"));
    expect(found.zone).toBe(isListed ? zone?.id : undefined);
    expect(isNothing({ ...found, names: [], rest: { disks: [], launchTemplates: [], securityGroups: [] } })).toBe(
      !isListed,
    );
    const lines: string[] = [];
    await fake.through(endAtAws(cloud, fake.clock, false, (line) => lines.push(line)));
    expect(lines.join("\n")).toContain(said);
    expect(fake.world.hostedZones.size).toBe(isListed && said === "" ? 0 : 1);
    expect(await fake.through(cloudOn(fake).names.list()).catch(() => [])).toEqual([]);
  });

  test("a process that dies at any call is followed by one that ends the rest", async () => {
    for (let at = 1; at < 400; at += 5) {
      const fake = await furnished(at);
      let calls = 0;
      fake.world.hooks.beforeCall = () => {
        if (++calls >= at) throw Object.assign(new Error("the process is gone"), { name: "AccessDenied" });
      };
      const isDone = await fake.through(
        endAtAws(cloudOn(fake), fake.clock, false, () => undefined).then(
          () => true,
          () => false,
        ),
      );
      if (isDone) return expect(at).toBeGreaterThan(30);
      fake.world.hooks.beforeCall = () => undefined;
      await fake.through(endAtAws(cloudOn(fake), fake.clock, false, () => undefined));
      expect(leftOf(fake, "test"), `after call ${at}`).toEqual(nothing);
    }
    expect.unreachable("it never comes to its end");
  }, 120_000);

  test("gc ends the one thing that is named, and says what there is not", async () => {
    const fake = await furnished(3);
    const cloud = cloudOn(fake);
    const found = await fake.through(findBelongings(cloud, "test"));
    const [machine] = found.machines;
    expect(await fake.through(endOne(cloud, found, machine?.id ?? ""))).toContain("ends");
    await fake.clock.advance(300_000);
    expect(leftOf(fake, "test").instances).toBe(1);
    await expect(endOne(cloud, found, "i-0")).rejects.toThrow("no machine, balancer or volume i-0");
    const [volume] = found.volumes;
    await expect(endOne(cloud, found, volume?.handle ?? "")).rejects.toThrow("is attached to i-");
  });
});

describe("as a command", () => {
  const homes: DroverHome[] = [];
  afterEach(async () => {
    for (const home of homes.splice(0)) await home.close();
  });

  test("it ends a simulated cluster with its server, asks first, and may be repeated", {
    timeout: 90_000,
  }, async () => {
    const home = new DroverHome();
    homes.push(home);
    await home.serve("--cloud", "sim");
    const asked = await home.drover(["down", "--cloud", "sim"]);
    expect([asked.code, asked.err]).toEqual([2, expect.stringContaining("say --yes")]);
    expect((await home.drover(["gc"])).out).toMatch(/sim +process/);
    const other = await home.drover(["down", "--cloud", "local", "--cluster", "sim", "--yes"]);
    expect([other.code, other.err]).toEqual([2, expect.stringContaining("--cloud sim")]);
    const { code, err } = await home.drover(["down", "--cloud", "sim", "--yes"]);
    expect([code, err]).toEqual([0, expect.stringContaining("removed cluster sim")]);
    const again = await home.drover(["down", "--cloud", "sim", "--yes"]);
    expect([again.code, again.err]).toEqual([0, expect.stringContaining("there is no cluster sim")]);
  });
});
