import {
  AuthorizeSecurityGroupIngressCommand,
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  CreateSecurityGroupCommand,
  CreateTagsCommand,
  DeleteSecurityGroupCommand,
  DescribeInstancesCommand,
  type DescribeInstancesCommandInput,
  DescribeInstanceTypesCommand,
  DescribeSubnetsCommand,
  type Instance,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { describe, expect, test } from "vitest";
import { interruptSpot } from "../../../../src/clouds/sim/aws/accidents.ts";
import { ec2Latencies, noLatencies } from "../../../../src/clouds/sim/aws/latencies.ts";
import { messageOf, openFake, outcome } from "./setup.ts";

type Fake = ReturnType<typeof openFake>;

const imageOf = ({ world }: Fake, architecture = "amd64") =>
  world.parameters.get(`/aws/service/debian/release/12/latest/${architecture}`) ?? "";

async function run(fake: Fake, input: Partial<RunInstancesCommandInput> = {}): Promise<Instance[]> {
  const basic = { ImageId: imageOf(fake), InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const;
  return (await fake.ec2(new RunInstancesCommand({ ...basic, ...input }))).Instances ?? [];
}

async function seen(fake: Fake, input: DescribeInstancesCommandInput = {}): Promise<Instance[]> {
  const { Reservations } = await fake.ec2(new DescribeInstancesCommand(input));
  return Reservations?.flatMap(({ Instances }) => Instances ?? []) ?? [];
}

const subnetIn = ({ world }: Fake, zone: string) => [...world.subnets.values()].find((one) => one.zone === zone);
const spot = { InstanceMarketOptions: { MarketType: "spot" as const } };

describe("a launch is refused", () => {
  type Row = [name: string, code: string, message: RegExp, call: (fake: Fake) => Promise<unknown>];
  const rows: Row[] = [
    [
      "an image that nobody knows",
      "InvalidAMIID.NotFound",
      /'\[ami-0123456789abcdef0\]'/,
      (fake) => run(fake, { ImageId: "ami-0123456789abcdef0" }),
    ],
    ["no image id", "InvalidAMIID.Malformed", /debian/, (fake) => run(fake, { ImageId: "debian" })],
    [
      "an image of another architecture",
      "InvalidParameterValue",
      /'x86_64'.*'arm64'/,
      (fake) => run(fake, { ImageId: imageOf(fake, "arm64") }),
    ],
    [
      "a type that nobody knows",
      "InvalidParameterValue",
      /'t9\.tiny' for InstanceType/,
      (fake) => run(fake, { InstanceType: "t9.tiny" as "t3.micro" }),
    ],
    [
      "17 KB of user data",
      "InvalidParameterValue",
      /16384/,
      (fake) => run(fake, { UserData: Buffer.alloc(17_000).toString("base64") }),
    ],
    [
      "user data in no base64",
      "InvalidUserData.Malformed",
      /BASE64/,
      (fake) => run(fake, { UserData: "#cloud-config" }),
    ],
    [
      "a launch template that nobody knows",
      "InvalidLaunchTemplateName.NotFoundException",
      /web/,
      (fake) => run(fake, { LaunchTemplate: { LaunchTemplateName: "web" } }),
    ],
    [
      "a security group that nobody knows",
      "InvalidGroup.NotFound",
      /sg-1/,
      (fake) => run(fake, { SecurityGroupIds: ["sg-1"] }),
    ],
    [
      "an instance profile that nobody knows",
      "InvalidParameterValue",
      /Invalid IAM Instance Profile name/,
      (fake) => run(fake, { IamInstanceProfile: { Name: "web" } }),
    ],
    [
      "an instance profile of a moment ago",
      "InvalidParameterValue",
      /Invalid IAM Instance Profile name/,
      (fake) => {
        fake.world.instanceProfiles.set("web", {
          arn: "arn:aws:iam::123456789012:instance-profile/web",
          visibleAtMs: 10_000,
        });
        return run(fake, { IamInstanceProfile: { Name: "web" } });
      },
    ],
    [
      "a tag that metadata can't show",
      "InvalidParameterValue",
      /'drover\.dev\/cluster' is not a valid tag key/,
      (fake) =>
        run(fake, {
          MetadataOptions: { InstanceMetadataTags: "enabled" },
          TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "drover.dev/cluster", Value: "c" }] }],
        }),
    ],
    [
      "51 tags",
      "TagLimitExceeded",
      /50/,
      (fake) =>
        run(fake, {
          TagSpecifications: [
            { ResourceType: "instance", Tags: Array.from({ length: 51 }, (_, i) => ({ Key: `k${i}`, Value: "v" })) },
          ],
        }),
    ],
    [
      "a tag of AWS' own",
      "InvalidParameterValue",
      /aws:/,
      (fake) => run(fake, { TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "aws:x", Value: "v" }] }] }),
    ],
    ["more minimum than maximum", "InvalidParameterValue", /2\/1/, (fake) => run(fake, { MinCount: 2, MaxCount: 1 })],
    ["a token of 65 characters", "InvalidParameterValue", /64/, (fake) => run(fake, { ClientToken: "x".repeat(65) })],
    [
      "no room in the pool",
      "InsufficientInstanceCapacity",
      /t3\.micro capacity.*us-east-1a/,
      (fake) => {
        fake.world.pools.set("t3.micro", "us-east-1a", "on-demand", 0);
        return run(fake);
      },
    ],
    [
      "no spot capacity",
      "InsufficientInstanceCapacity",
      /no Spot capacity/,
      (fake) => {
        fake.world.pools.set("*", "*", "spot", 0);
        return run(fake, spot);
      },
    ],
    [
      "a vCPU quota of 5 and a third machine",
      "VcpuLimitExceeded",
      /vCPU limit of 5 /,
      async (fake) => {
        fake.world.quotas.set("L-1216C47A", 5);
        await run(fake, { MaxCount: 2 });
        return run(fake);
      },
    ],
    [
      "the spot quota",
      "MaxSpotInstanceCountExceeded",
      /spot/,
      (fake) => {
        fake.world.quotas.set("L-34B43A08", 1);
        return run(fake, spot);
      },
    ],
    [
      "a subnet without addresses",
      "InsufficientFreeAddressesInSubnet",
      /subnet-/,
      (fake) => {
        for (const subnet of fake.world.subnets.values()) subnet.reserved = 4_091;
        return run(fake);
      },
    ],
    [
      "a zone that lacks the type",
      "Unsupported",
      /not supported.*choosing us-east-1b, us-east-1c/,
      (fake) => {
        fake.world.notOffered.add("t3.micro us-east-1a");
        return run(fake);
      },
    ],
    [
      "a subnet beside an interface",
      "InvalidParameterCombination",
      /instance-level subnet ID/,
      (fake) => run(fake, { SubnetId: subnetIn(fake, "us-east-1a")?.id, NetworkInterfaces: [{ DeviceIndex: 0 }] }),
    ],
    [
      "a root disk smaller than its image",
      "InvalidBlockDeviceMapping",
      /expect size >= 8GB/,
      (fake) => run(fake, { BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { VolumeSize: 5 } }] }),
    ],
  ];
  test.for(rows)("%s: %s", async ([, code, message, call]) => {
    const fake = openFake();
    const thrown = await call(fake).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ name: code, message: expect.stringMatching(message) });
  });
});

test("a launch gives what there is between its minimum and its maximum", async () => {
  const fake = openFake();
  fake.world.pools.set("t3.micro", "*", "*", 3);
  const instances = await run(fake, { MinCount: 1, MaxCount: 10 });
  expect(instances.map(({ AmiLaunchIndex }) => AmiLaunchIndex)).toEqual([0, 1, 2]);
  expect(await outcome(run(fake, { MinCount: 1 }))).toBe("InsufficientInstanceCapacity");
  await fake.ec2(new TerminateInstancesCommand({ InstanceIds: [instances[0]?.InstanceId ?? ""] }));
  expect((await run(fake)).length).toBe(1);
});

test("a token gives the same instances, ended ones too, and takes no other parameters", async () => {
  const fake = openFake();
  const ids = (instances: Instance[]) => instances.map(({ InstanceId = "" }) => InstanceId);
  const first = ids(await run(fake, { ClientToken: "t", MaxCount: 2 }));
  expect(ids(await run(fake, { ClientToken: "t", MaxCount: 2 }))).toEqual(first);
  await fake.ec2(new TerminateInstancesCommand({ InstanceIds: first }));
  await fake.clock.advance(1_000);
  const replayed = await run(fake, { ClientToken: "t", MaxCount: 2 });
  expect([ids(replayed), replayed[0]?.State?.Name]).toEqual([first, "terminated"]);
  expect(await outcome(run(fake, { ClientToken: "t", MaxCount: 3 }))).toBe("IdempotentParameterMismatch");
  expect(fake.world.instances.size).toBe(2);
});

test("an instance that was just launched is not found for a while, then pending, and one bad id fails all", async () => {
  const fake = openFake();
  const fixed = (ms: number) => ({ p50Ms: ms, p99Ms: ms });
  fake.world.latencies = {
    ...noLatencies,
    instanceVisible: fixed(5_000),
    pendingToRunning: [{ share: 1, latency: fixed(9_000) }],
  };
  const [{ InstanceId: id = "" } = {}] = await run(fake);
  expect(await messageOf(seen(fake, { InstanceIds: [id] }))).toBe(`The instance ID '${id}' does not exist`);
  expect(await seen(fake)).toEqual([]);
  expect(await outcome(fake.ec2(new TerminateInstancesCommand({ InstanceIds: [id] })))).toBe(
    "InvalidInstanceID.NotFound",
  );
  await fake.clock.advance(6_000);
  expect((await seen(fake, { InstanceIds: [id] }))[0]?.State?.Name).toBe("pending");
  await fake.clock.advance(4_000);
  const unknown = "i-0123456789abcdef0";
  expect(await outcome(fake.ec2(new TerminateInstancesCommand({ InstanceIds: [id, unknown] })))).toBe(
    "InvalidInstanceID.NotFound",
  );
  expect((await seen(fake))[0]?.State?.Name).toBe("running");
});

test("instances are listed page by page; ids and a page size don't go together", async () => {
  const fake = openFake();
  const all = await run(fake, { MinCount: 12, MaxCount: 12 });
  const got: string[] = [];
  let NextToken: string | undefined;
  do {
    const answer = await fake.ec2(new DescribeInstancesCommand({ MaxResults: 5, NextToken }));
    const page = answer.Reservations?.flatMap(({ Instances }) => Instances ?? []) ?? [];
    expect(page.length).toBeLessThanOrEqual(5);
    got.push(...page.map(({ InstanceId = "" }) => InstanceId));
    NextToken = answer.NextToken;
  } while (NextToken !== undefined);
  expect(got).toEqual(all.map(({ InstanceId }) => InstanceId));
  expect(await outcome(seen(fake, { InstanceIds: got, MaxResults: 5 }))).toBe("InvalidParameterCombination");
  expect(await outcome(seen(fake, { MaxResults: 4 }))).toBe("InvalidParameterValue");
});

test("filters: any of the values, all of the filters, wildcards, and a wrong name is refused", async () => {
  const fake = openFake();
  const tagged = (value: string) => ({
    TagSpecifications: [{ ResourceType: "instance" as const, Tags: [{ Key: "app", Value: value }] }],
  });
  await run(fake, { ...tagged("web"), SubnetId: subnetIn(fake, "us-east-1a")?.id });
  await run(fake, { ...tagged("web"), SubnetId: subnetIn(fake, "us-east-1b")?.id });
  await run(fake, { ...tagged("worker"), SubnetId: subnetIn(fake, "us-east-1b")?.id });
  const count = async (...filters: [string, ...string[]][]) =>
    (await seen(fake, { Filters: filters.map(([Name, ...Values]) => ({ Name, Values })) })).length;
  expect(await count(["tag:app", "web"])).toBe(2);
  expect(await count(["tag:app", "w*"])).toBe(3);
  expect(await count(["tag:app", "web", "worker"], ["availability-zone", "us-east-1b"])).toBe(2);
  expect(await count(["tag-key", "ap?"], ["instance-state-name", "running"])).toBe(3);
  expect(await outcome(count(["colour", "red"]))).toBe("InvalidParameterValue");
});

test("an instance takes from its launch template what the call doesn't say, and a version from its source", async () => {
  const fake = openFake();
  const tags = (value: string) => [
    {
      ResourceType: "instance" as const,
      Tags: [
        { Key: "who", Value: value },
        { Key: value, Value: "" },
      ],
    },
  ];
  const LaunchTemplateData = {
    ImageId: imageOf(fake),
    InstanceType: "t3.nano" as const,
    TagSpecifications: tags("template"),
  };
  const create = () => fake.ec2(new CreateLaunchTemplateCommand({ LaunchTemplateName: "web", LaunchTemplateData }));
  await create();
  expect(await outcome(create())).toBe("InvalidLaunchTemplateName.AlreadyExistsException");
  await fake.ec2(
    new CreateLaunchTemplateVersionCommand({
      LaunchTemplateName: "web",
      SourceVersion: "1",
      LaunchTemplateData: { InstanceType: "t3.small" },
    }),
  );
  const from = async (Version: string, more: Partial<RunInstancesCommandInput> = {}) => {
    const input = { MinCount: 1, MaxCount: 1, LaunchTemplate: { LaunchTemplateName: "web", Version }, ...more };
    return (await fake.ec2(new RunInstancesCommand(input))).Instances?.[0];
  };
  expect((await from("$Default"))?.InstanceType).toBe("t3.nano");
  const latest = await from("$Latest", { TagSpecifications: tags("call") });
  expect([latest?.InstanceType, latest?.ImageId]).toEqual(["t3.small", imageOf(fake)]);
  expect(latest?.Tags).toEqual([
    { Key: "who", Value: "call" },
    { Key: "template", Value: "" },
    { Key: "call", Value: "" },
  ]);
  expect(await outcome(from("3"))).toBe("InvalidLaunchTemplateId.VersionNotFound");
});

test("security groups: duplicates, 60 rules, and no deletion while something uses them", async () => {
  const fake = openFake();
  const create = () => fake.ec2(new CreateSecurityGroupCommand({ GroupName: "web", Description: "web" }));
  const { GroupId = "" } = await create();
  expect(await outcome(create())).toBe("InvalidGroup.Duplicate");
  const open = (...ports: number[]) => {
    const IpRanges = [{ CidrIp: "0.0.0.0/0" }];
    const IpPermissions = ports.map((port) => ({ IpProtocol: "tcp", FromPort: port, ToPort: port, IpRanges }));
    return fake.ec2(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions }));
  };
  await open(80);
  expect(await messageOf(open(80))).toContain("0.0.0.0/0, TCP, from port: 80, to port: 80");
  await open(...Array.from({ length: 59 }, (_, index) => 1_000 + index));
  expect(await outcome(open(443))).toBe("RulesPerSecurityGroupLimitExceeded");
  const [{ InstanceId = "" } = {}] = await run(fake, { SecurityGroupIds: [GroupId] });
  const remove = () => fake.ec2(new DeleteSecurityGroupCommand({ GroupId }));
  expect(await outcome(remove())).toBe("DependencyViolation");
  await fake.ec2(new TerminateInstancesCommand({ InstanceIds: [InstanceId] }));
  expect(await outcome(remove())).toBe("ok");
  expect(await outcome(remove())).toBe("InvalidGroup.NotFound");
});

test("a spot instance is taken back two minutes after it was announced, with the reason", async () => {
  const fake = openFake();
  const [{ InstanceId = "" } = {}] = await run(fake, spot);
  const instance = fake.world.instances.get(InstanceId);
  if (instance) interruptSpot(fake.world, instance);
  await fake.clock.advance(119_000);
  expect((await seen(fake))[0]).toMatchObject({ State: { Name: "running" }, InstanceLifecycle: "spot" });
  await fake.clock.advance(2_000);
  expect((await seen(fake))[0]).toMatchObject({
    State: { Name: "terminated" },
    StateReason: { Code: "Server.SpotInstanceTermination" },
  });
});

test("tags go to what is named, and free addresses count down", async () => {
  const fake = openFake();
  const [{ InstanceId = "", SubnetId = "" } = {}] = await run(fake);
  await fake.ec2(new CreateTagsCommand({ Resources: [InstanceId], Tags: [{ Key: "a", Value: "b" }] }));
  expect((await seen(fake, { Filters: [{ Name: "tag:a", Values: ["b"] }] })).length).toBe(1);
  const { Subnets } = await fake.ec2(new DescribeSubnetsCommand({ SubnetIds: [SubnetId] }));
  expect(Subnets?.[0]?.AvailableIpAddressCount).toBe(4_090);
});

test("types come in pages of at most 100, x86 and arm, one with a graphics processor", async () => {
  const fake = openFake();
  const filter = (name: string, value: string) => [{ Name: name, Values: [value] }];
  const list = async (Filters: ReturnType<typeof filter>) =>
    (await fake.ec2(new DescribeInstanceTypesCommand({ Filters }))).InstanceTypes ?? [];
  const arm = await list(filter("processor-info.supported-architecture", "arm64"));
  expect(arm.length).toBeGreaterThan(10);
  const [gpu] = await list(filter("instance-type", "g4dn.*"));
  expect(gpu).toMatchObject({ VCpuInfo: { DefaultVCpus: 4 }, GpuInfo: { Gpus: [{ Name: "T4", Count: 1 }] } });
  expect(await outcome(fake.ec2(new DescribeInstanceTypesCommand({ MaxResults: 101 })))).toBe("InvalidParameterValue");
});

test("1,000 launches: the mixture of boot times, visibility and ends are those of the facts", async () => {
  const fake = openFake({ latencies: ec2Latencies });
  for (let batch = 0; batch < 10; batch++) await run(fake, { MinCount: 100, MaxCount: 100 });
  const instances = [...fake.world.instances.values()];
  const startMs = (serial: number) => {
    const call = fake.world.writes[Math.floor(serial)];
    return call?.atMs ?? 0;
  };
  const boots = instances.map(({ runningAtMs }, index) => runningAtMs - startMs(index / 100)).sort((a, b) => a - b);
  const quantile = (share: number) => (boots[Math.floor(share * boots.length)] ?? 0) / 1_000;
  // 70 % around 7 s and 30 % around 17 s: half are there within 9 s, all but one in a hundred within 45 s.
  expect(quantile(0.5)).toBeGreaterThan(7.5);
  expect(quantile(0.5)).toBeLessThan(10.5);
  expect(quantile(0.25)).toBeLessThan(7);
  expect(quantile(0.99)).toBeGreaterThan(25);
  expect(quantile(0.99)).toBeLessThan(45);
  await fake.clock.advance(60_000);
  for (let batch = 0; batch < 10; batch++) {
    const InstanceIds = instances.slice(batch * 100, batch * 100 + 100).map(({ id }) => id);
    await fake.ec2(new TerminateInstancesCommand({ InstanceIds }));
  }
  const ends = instances.map(({ shuttingDownAtMs, terminatedAtMs }) => terminatedAtMs - shuttingDownAtMs);
  const within = ends.filter((ms) => ms <= 35_000).length;
  expect(Math.abs(within - 500)).toBeLessThan(60);
  expect(Math.max(...ends)).toBeGreaterThan(120_000);
});
