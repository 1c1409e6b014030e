import {
  CreateLaunchTemplateCommand,
  CreateVolumeCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { expect, test } from "vitest";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { openAwsVolumes } from "../../../src/clouds/aws/volumes.ts";
import { passing } from "../../contract/passing.ts";
import { volumesContract } from "../../contract/volumes.ts";
import { openFake } from "../sim/aws/setup.ts";

async function open() {
  const fake = openFake();
  const [image] = fake.world.images.keys();
  await fake.ec2(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: "test",
      LaunchTemplateData: { ImageId: image ?? "", InstanceType: "t3.micro" },
    }),
  );
  const [subnet] = [...fake.world.subnets.values()];
  const { Instances = [] } = await fake.ec2(
    new RunInstancesCommand({
      LaunchTemplate: { LaunchTemplateName: "test" },
      SubnetId: subnet?.id ?? "",
      MinCount: 2,
      MaxCount: 2,
    }),
  );
  await fake.clock.advance(60_000);
  const [one = "", two = ""] = Instances.map(({ InstanceId = "" }) => InstanceId);
  const volumes = openAwsVolumes(openSend(fake.clients, fake.clock), "test", { team: "web" });
  return { fake, zone: subnet?.zone ?? "", machineIds: [one, two] as const, volumes: passing(volumes, fake.clock) };
}

volumesContract(async () => {
  const { fake, ...under } = await open();
  return {
    ...under,
    async endMachine(id) {
      await fake.ec2(new TerminateInstancesCommand({ InstanceIds: [id] }));
    },
    pause: () => fake.clock.advance(5_000),
  };
});

test("what no disk can be made of is known without a call", async () => {
  const { fake, volumes } = await open();
  const { problem } = openAwsVolumes(openSend(fake.clients, fake.clock), "test");
  const spec = { id: "pvc-1", cluster: "test", name: "default/data", sizeBytes: 2 ** 30 };
  fake.world.calls.clear();
  expect(problem?.({ ...spec, parameters: { type: "gp3" } })).toBeUndefined();
  expect(problem?.({ ...spec, parameters: { type: "gp9" } })).toMatch(/"type" can't be "gp9"/);
  expect(fake.world.calls.size).toBe(0);
  await expect(volumes.ensure({ ...spec, zone: "a", parameters: { type: "gp9" } })).rejects.toThrow(/can't be "gp9"/);
});

test("volumes that are attached at once get names of their own", async () => {
  const { fake, zone, machineIds, volumes } = await open();
  // All of these would like the same name.
  const ids = ["pvc-3", "pvc-e", "pvc-13", "pvc-1e"];
  const spec = { cluster: "test", name: "default/data", zone, sizeBytes: 2 ** 30, parameters: {} };
  for (const id of ids) await volumes.ensure({ ...spec, id });
  await fake.clock.advance(60_000);
  await Promise.all(ids.map((id) => volumes.attach(id, machineIds[0])));
  const { world } = fake;
  const devices = [...world.volumes.values()].flatMap(({ attachment, tags }) =>
    attachment && tags.has("drover.dev/volume") ? [attachment.device] : [],
  );
  expect(new Set(devices).size, devices.join()).toBe(ids.length);
  const outcomes = world.writes.filter(({ action }) => action === "AttachVolume").map(({ outcome }) => outcome);
  expect(outcomes).toEqual(ids.map(() => "ok"));
});

test("a volume carries the user's tags, is encrypted, and is made once though the reply is lost", async () => {
  const { fake, zone, volumes } = await open();
  const spec = {
    id: "pvc-1",
    cluster: "test",
    name: "default/data",
    zone,
    sizeBytes: 1.5 * 2 ** 30,
    parameters: { tagSpecification_1: "cost=a" },
  };
  await volumes.ensure(spec);
  const before = fake.world.volumes.size;
  await volumes.ensure(spec);
  expect(fake.world.volumes.size).toBe(before);
  const made = [...fake.world.volumes.values()].at(-1);
  expect(made).toMatchObject({ gib: 2, type: "gp3", encrypted: true, zone });
  expect(Object.fromEntries(made?.tags ?? [])).toMatchObject({
    team: "web",
    cost: "a",
    "drover.dev/cluster": "test",
    "drover.dev/volume": "pvc-1",
  });
});

test("volumes of others are found by their names alone, whatever names are asked for", async () => {
  const { fake, zone, volumes } = await open();
  const named = await Promise.all(
    Array.from({ length: 3 }, () => fake.ec2(new CreateVolumeCommand({ AvailabilityZone: zone, Size: 1 }))),
  );
  const [one = "", two = ""] = named.map(({ VolumeId }) => VolumeId);
  const many = Array.from({ length: 250 }, (_, index) => `vol-${String(index).padStart(17, "0")}`);
  const found = await volumes.find?.([one, "data", ...many, two]);
  expect(found?.map(({ id, handle }) => [id, handle])).toEqual([
    [one, one],
    [two, two],
  ]);
  expect((await volumes.observe()).volumes).toEqual([]);
});
