import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { isCode } from "../../../src/base/errors.ts";
import type { Call, CallFault } from "../../../src/clouds/sim/aws/calls.ts";
import { noCallFaults } from "../../../src/clouds/sim/aws/faults.ts";
import { ec2Latencies } from "../../../src/clouds/sim/aws/latencies.ts";
import { openFake } from "../sim/aws/setup.ts";
import { inputsOf, launchOf, openParts } from "./parts.ts";

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (error: { code?: string }) => error.code ?? String(error),
  );

test("a launch is one call with everything in it", async () => {
  const fake = openFake();
  const { machines } = openParts(fake, { groups: { operatorCidrs: ["203.0.113.7/32"] } });
  const template = { ports: [{ port: 80, protocol: "TCP" }], profile: "web" } as const;
  fake.world.instanceProfiles.set("web", { arn: "arn:aws:iam::123456789012:instance-profile/web", visibleAtMs: 0 });
  const launch = launchOf("l-1", 3, { template });
  const launched = await fake.through(machines.launch(launch));
  expect(launched.map(({ slot, claim }) => [slot, claim?.podName, claim?.podUid])).toEqual(
    launch.names.map((name, slot) => [slot, name, launch.slots[slot]]),
  );
  const [input, ...others] = inputsOf(fake, "RunInstances");
  expect(others).toEqual([]);
  const [subnet] = [...fake.world.subnets.values()].filter(({ zone }) => zone === "us-east-1a");
  const groups = ["machines", "ports", "redirects"].flatMap((word) =>
    [...fake.world.securityGroups.values()].filter(({ name }) => name.includes(`drover-c-${word}`)),
  );
  expect(input).toMatchObject({
    ClientToken: "l-1",
    MinCount: 1,
    MaxCount: 3,
    InstanceType: "t3.micro",
    SubnetId: subnet?.id,
    SecurityGroupIds: groups.map(({ id }) => id),
    IamInstanceProfile: { Name: "web" },
    InstanceInitiatedShutdownBehavior: "terminate",
    MetadataOptions: {
      HttpEndpoint: "enabled",
      HttpTokens: "required",
      HttpPutResponseHopLimit: 1,
      InstanceMetadataTags: "disabled",
    },
    LaunchTemplate: { LaunchTemplateName: expect.stringMatching(/^drover-c-0123456789abcdef-[0-9a-f]{8}$/) },
  });
  const specifications = (input?.["TagSpecifications"] ?? []) as { ResourceType: string }[];
  expect(specifications.map(({ ResourceType }) => ResourceType)).toEqual(["instance", "volume", "network-interface"]);
});

test("the launch template holds what is the same everywhere", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  await fake.through(machines.launch(launchOf("l-1", 1)));
  const [input] = inputsOf(fake, "CreateLaunchTemplate");
  const data = input?.["LaunchTemplateData"] as { UserData: string };
  const debian = [...fake.world.images.values()].find(({ name }) => name.startsWith("debian-12-amd64"));
  expect(data).toMatchObject({
    ImageId: debian?.id,
    BlockDeviceMappings: [
      {
        DeviceName: "/dev/xvda",
        Ebs: { VolumeSize: 20, VolumeType: "gp3", Encrypted: true, DeleteOnTermination: true },
      },
    ],
    Monitoring: { Enabled: false },
    InstanceInitiatedShutdownBehavior: "terminate",
  });
  expect(gunzipSync(Buffer.from(data.UserData, "base64")).toString()).toBe("#cloud-config\nruncmd: []\n");
});

test("launches of one template share it, also after a restart; another one gets its own", async () => {
  const fake = openFake();
  await fake.through(openParts(fake).machines.launch(launchOf("l-1", 1)));
  const { machines } = openParts(fake);
  await fake.through(machines.launch(launchOf("l-2", 1)));
  await fake.through(machines.launch(launchOf("l-3", 1, { template: { diskBytes: 30 * 2 ** 30 } })));
  expect(fake.world.launchTemplates.size).toBe(2);
});

test("a spot launch asks for machines that end when they are interrupted", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  const placement = { type: "t3.micro", zone: "us-east-1b", capacityType: "spot" } as const;
  await fake.through(machines.launch(launchOf("l-1", 1, { placement })));
  expect(inputsOf(fake, "RunInstances")[0]).toMatchObject({
    InstanceMarketOptions: {
      MarketType: "spot",
      SpotOptions: { SpotInstanceType: "one-time", InstanceInterruptionBehavior: "terminate" },
    },
  });
});

test.for([true, false])("public addresses are asked for or refused on the interface: %s", async (publicAddresses) => {
  const fake = openFake();
  const { machines } = openParts(fake, { publicAddresses });
  await fake.through(machines.launch(launchOf("l-1", 1)));
  const [input] = inputsOf(fake, "RunInstances");
  expect(input).not.toHaveProperty("SubnetId");
  expect(input).toMatchObject({ NetworkInterfaces: [{ DeviceIndex: 0, AssociatePublicIpAddress: publicAddresses }] });
  const [instance] = fake.world.instances.values();
  expect(instance?.publicIp !== undefined).toBe(publicAddresses);
});

test("a part of a launch is a success", async () => {
  const fake = openFake();
  fake.world.pools.set("t3.micro", "us-east-1a", "on-demand", 40);
  const { machines } = openParts(fake);
  const launched = await fake.through(machines.launch(launchOf("l-1", 100)));
  expect(launched.map(({ slot }) => slot)).toEqual(Array.from({ length: 40 }, (_, slot) => slot));
});

test("no capacity and no quota are told apart", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  fake.world.pools.set("*", "us-east-1a", "*", 0);
  expect(await codeOf(fake.through(machines.launch(launchOf("l-1", 2))))).toBe("CLOUD_CAPACITY");
  fake.world.pools.clear();
  fake.world.quotas.set("L-1216C47A", 1);
  expect(await codeOf(fake.through(machines.launch(launchOf("l-2", 2))))).toBe("CLOUD_QUOTA");
  expect(fake.world.instances.size).toBe(0);
});

/** Faults of RunInstances alone, one an attempt. */
const faultsOf = (faults: (CallFault | undefined)[]) => ({
  ...noCallFaults,
  ofAttempt: ({ action }: Call) => (action === "RunInstances" ? faults.shift() : undefined),
});

test.for<[fault: CallFault]>([["lost-reply"], ["lost-request"], ["duplicate"], ["unavailable"], ["throttle"]])(
  "a launch whose call meets %s gives each slot one machine",
  async ([fault]) => {
    for (let seed = 1; seed <= 20; seed++) {
      const fake = openFake({
        seed,
        latencies: ec2Latencies,
        faults: faultsOf(Array.from({ length: 9 }, () => fault)),
      });
      const launch = launchOf("l-1", 20);
      const first = openParts(fake).machines;
      await fake.through(codeOf(first.launch(launch)));
      // A process that has lost its memory repeats the call, at once and later.
      const { machines } = openParts(fake);
      let last = await fake.through(machines.launch(launch).catch(() => []));
      for (let time = 0; time < 3; time++) {
        const again = await fake.through(machines.launch(launch).catch(() => []));
        if (last.length > 0) expect(again.map(({ id }) => id)).toEqual(last.map(({ id }) => id));
        last = again;
      }
      expect(last.map(({ slot }) => slot)).toEqual(Array.from({ length: 20 }, (_, slot) => slot));
      expect(fake.world.instances.size).toBe(20);
    }
  },
);

test("a launch is not called again once AWS has forgotten its token", async () => {
  const fake = openFake();
  const launch = launchOf("l-1", 5);
  const before = await fake.through(openParts(fake).machines.launch(launch));
  await fake.clock.advance(3 * 86_400_000);
  fake.world.tokens.clear();
  const after = await fake.through(openParts(fake).machines.launch(launch));
  expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  expect(fake.world.instances.size).toBe(5);
});

test("a token that stands for other parameters gives what it once gave", async () => {
  const fake = openFake({ latencies: ec2Latencies });
  const launch = launchOf("l-1", 5);
  const before = await fake.through(openParts(fake).machines.launch(launch));
  // Nothing is listed yet, and the options of the new process are others.
  const { machines } = openParts(fake, { publicAddresses: true });
  const after = await fake.through(machines.launch(launch));
  expect(after.map(({ id }) => id).sort()).toEqual(before.map(({ id }) => id).sort());
  expect(fake.world.instances.size).toBe(5);
});

test("an instance profile that was made a moment ago is waited for, one that isn't there is not for ever", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  const arn = "arn:aws:iam::123456789012:instance-profile/web";
  fake.world.instanceProfiles.set("web", { arn, visibleAtMs: fake.clock.monotonicMs() + 12_000 });
  const launched = await fake.through(machines.launch(launchOf("l-1", 1, { template: { profile: "web" } })));
  expect(launched).toHaveLength(1);
  expect(fake.clock.monotonicMs()).toBeLessThan(16_000);
  const refused = machines.launch(launchOf("l-2", 1, { template: { profile: "other" } }));
  await expect(fake.through(refused)).rejects.toThrow(
    /^There is no instance profile other \(ServiceAccount's annotation drover\.dev\/instance-profile, or .*Invalid IAM Instance Profile name/,
  );
  expect(fake.clock.monotonicMs()).toBeLessThan(60_000);
});

test("a launch template and a group that were deleted by hand are made again", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  await fake.through(machines.launch(launchOf("l-1", 1)));
  fake.world.launchTemplates.clear();
  await fake.through(machines.launch(launchOf("l-2", 1)));
  expect(fake.world.launchTemplates.size).toBe(1);
  for (const [id, { name }] of fake.world.securityGroups) {
    if (name === "drover-c-machines") fake.world.securityGroups.delete(id);
  }
  await fake.through(machines.launch(launchOf("l-3", 1)));
  expect(fake.world.instances.size).toBe(3);
});

test("a zone without a subnet is the user's to change", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  const placement = { type: "t3.micro", zone: "us-east-1z", capacityType: "on-demand" } as const;
  const error = await fake
    .through(machines.launch(launchOf("l-1", 1, { placement })))
    .catch((thrown: unknown) => thrown);
  expect(isCode(error, "CLOUD_INVALID")).toBe(true);
  expect(String(error)).toContain("no subnet in us-east-1z (its zones: us-east-1a, us-east-1b, us-east-1c");
});

test("what nothing has used for an hour is deleted when something is launched", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  const old = { hash: "0000000000000000", userData: "#cloud-config\nusers: []\n" };
  const [machine] = await fake.through(machines.launch(launchOf("l-1", 1, { template: old })));
  await fake.through(machines.launch(launchOf("l-2", 1)));
  await fake.through(machines.terminate([machine?.id ?? ""]));
  await fake.clock.advance(2 * 3_600_000);
  await fake.through(machines.launch(launchOf("l-3", 1)));
  const names = [...fake.world.launchTemplates.values()].map(({ name }) => name);
  expect(names).toEqual([expect.stringContaining("0123456789abcdef")]);
});

test("a thousand machines are ten calls, in the time that AWS' bucket of a thousand allows", async () => {
  const fake = openFake({ latencies: ec2Latencies });
  const { machines } = openParts(fake);
  const template = { ports: [{ port: 80, protocol: "TCP" }] } as const;
  const launches = Array.from({ length: 10 }, (_, wave) => launchOf(`l-${wave}`, 100, { template }));
  const launched = await fake.through(Promise.all(launches.map((launch) => machines.launch(launch))));
  expect(launched.flat()).toHaveLength(1_000);
  expect(fake.clock.monotonicMs()).toBeLessThan(25_000);
  const counted = new Map<string, number>();
  for (const { action, outcome } of fake.world.writes) {
    // A group that not all of AWS knows yet is asked for again.
    if (action === "AuthorizeSecurityGroupIngress" && outcome === "InvalidGroup.NotFound") continue;
    expect(outcome, action).toBe("ok");
    counted.set(action, (counted.get(action) ?? 0) + 1);
  }
  expect(Object.fromEntries(counted)).toEqual({
    RunInstances: 10,
    CreateLaunchTemplate: 1,
    CreateSecurityGroup: 4,
    AuthorizeSecurityGroupIngress: 1,
  });
});
