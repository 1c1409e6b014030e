import {
  AttachVolumeCommand,
  CreateVolumeCommand,
  type CreateVolumeCommandInput,
  DeleteVolumeCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  ModifyVolumeCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { describe, expect, test } from "vitest";
import { noLatencies } from "../../../../src/clouds/sim/aws/latencies.ts";
import { openFake, outcome } from "./setup.ts";

type Fake = ReturnType<typeof openFake>;

async function machine(fake: Fake): Promise<string> {
  const ImageId = fake.world.parameters.get("/aws/service/debian/release/12/latest/amd64") ?? "";
  const { Instances } = await fake.ec2(
    new RunInstancesCommand({ ImageId, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 }),
  );
  return Instances?.[0]?.InstanceId ?? "";
}

async function volume(fake: Fake, input: Partial<CreateVolumeCommandInput> = {}): Promise<string> {
  const basic = { AvailabilityZone: "us-east-1a", Size: 10, VolumeType: "gp3" as const };
  return (await fake.ec2(new CreateVolumeCommand({ ...basic, ...input }))).VolumeId ?? "";
}

const attach = (fake: Fake, VolumeId: string, InstanceId: string, Device = "/dev/sdf") =>
  fake.ec2(new AttachVolumeCommand({ VolumeId, InstanceId, Device }));

async function stateOf(fake: Fake, VolumeId: string): Promise<string> {
  const { Volumes } = await fake.ec2(new DescribeVolumesCommand({ VolumeIds: [VolumeId] }));
  const [found] = Volumes ?? [];
  return [found?.State, found?.Attachments?.[0]?.State].join(" ").trim();
}

test("a volume is created, attached and detached in its time, and goes with no machine", async () => {
  const fake = openFake();
  const fixed = (ms: number) => ({ p50Ms: ms, p99Ms: ms });
  const times = { volumeCreate: fixed(2_000), volumeAttach: fixed(3_000), volumeDetach: fixed(6_000) };
  fake.world.latencies = { ...noLatencies, ...times };
  const instanceId = await machine(fake);
  const id = await volume(fake);
  expect(await stateOf(fake, id)).toBe("creating");
  expect(await outcome(attach(fake, id, instanceId))).toBe("IncorrectState");
  await fake.clock.advance(2_000);
  expect(await stateOf(fake, id)).toBe("available");
  await attach(fake, id, instanceId);
  expect(await stateOf(fake, id)).toBe("in-use attaching");
  await fake.clock.advance(3_000);
  expect(await stateOf(fake, id)).toBe("in-use attached");
  await fake.ec2(new DetachVolumeCommand({ VolumeId: id }));
  expect(await stateOf(fake, id)).toBe("in-use detaching");
  await fake.clock.advance(6_000);
  expect(await stateOf(fake, id)).toBe("available");
  await attach(fake, id, instanceId);
  const roots = [...fake.world.volumes.keys()].filter((one) => one !== id);
  await fake.ec2(new TerminateInstancesCommand({ InstanceIds: [instanceId] }));
  await fake.clock.advance(1_000);
  expect(await stateOf(fake, id)).toBe("available");
  expect(await outcome(stateOf(fake, roots[0] ?? ""))).toBe("InvalidVolume.NotFound");
});

test("a token gives the same volume, and no other one", async () => {
  const fake = openFake();
  const id = await volume(fake, { ClientToken: "pvc-1" });
  expect(await volume(fake, { ClientToken: "pvc-1" })).toBe(id);
  expect(await outcome(volume(fake, { ClientToken: "pvc-1", Size: 11 }))).toBe("IdempotentParameterMismatch");
});

describe("refusals", () => {
  type Row = [name: string, code: string, call: (fake: Fake, id: string, instanceId: string) => Promise<unknown>];
  const rows: Row[] = [
    ["a zone that nobody knows", "InvalidZone.NotFound", (fake) => volume(fake, { AvailabilityZone: "mars-1a" })],
    ["IOPS of gp2", "InvalidParameterCombination", (fake) => volume(fake, { VolumeType: "gp2", Iops: 3_000 })],
    ["io2 without IOPS", "MissingParameter", (fake) => volume(fake, { VolumeType: "io2" })],
    ["a cold disk of 10 GiB", "InvalidParameterValue", (fake) => volume(fake, { VolumeType: "sc1" })],
    ["more than the quota", "VolumeLimitExceeded", (fake) => volume(fake, { Size: 60_000 })],
    [
      "a machine of another zone",
      "InvalidVolume.ZoneMismatch",
      async (fake, _, instanceId) => attach(fake, await volume(fake, { AvailabilityZone: "us-east-1b" }), instanceId),
    ],
    [
      "attaching twice",
      "VolumeInUse",
      async (fake, id, instanceId) => {
        await attach(fake, id, instanceId);
        return attach(fake, id, await machine(fake));
      },
    ],
    [
      "a device that is taken",
      "InvalidParameterValue",
      async (fake, id, instanceId) => {
        await attach(fake, id, instanceId);
        return attach(fake, await volume(fake), instanceId);
      },
    ],
    [
      "deleting what is attached",
      "VolumeInUse",
      async (fake, id, instanceId) => {
        await attach(fake, id, instanceId);
        return fake.ec2(new DeleteVolumeCommand({ VolumeId: id }));
      },
    ],
    [
      "detaching what is attached nowhere",
      "IncorrectState",
      (fake, id) => fake.ec2(new DetachVolumeCommand({ VolumeId: id })),
    ],
    ["shrinking", "InvalidParameterValue", (fake, id) => fake.ec2(new ModifyVolumeCommand({ VolumeId: id, Size: 5 }))],
    [
      "growing twice in six hours",
      "VolumeModificationRateExceeded",
      async (fake, id) => {
        await fake.ec2(new ModifyVolumeCommand({ VolumeId: id, Size: 20 }));
        return fake.ec2(new ModifyVolumeCommand({ VolumeId: id, Size: 30 }));
      },
    ],
    [
      "deleting what is gone",
      "InvalidVolume.NotFound",
      async (fake, id) => {
        await fake.ec2(new DeleteVolumeCommand({ VolumeId: id }));
        return fake.ec2(new DeleteVolumeCommand({ VolumeId: id }));
      },
    ],
  ];
  test.for(rows)("%s: %s", async ([, code, call]) => {
    const fake = openFake();
    const instanceId = await machine(fake);
    expect(await outcome(call(fake, await volume(fake), instanceId))).toBe(code);
  });
});
