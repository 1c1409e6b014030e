import {
  CreateLaunchTemplateCommand,
  CreateSecurityGroupCommand,
  DescribeInstancesCommand,
  GetConsoleOutputCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { GetParameterCommand } from "@aws-sdk/client-ssm";
import { expect, test } from "vitest";
import { seededRandom } from "../../../../src/base/random.ts";
import { VirtualClock } from "../../../../src/base/virtual.ts";
import type { AwsClients } from "../../../../src/clouds/aws/api.ts";
import { openAwsFake } from "../../../../src/clouds/sim/aws/open.ts";

/** Lets time pass until the promise has settled. */
async function through<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let isOver = false;
  promise.then(
    () => (isOver = true),
    () => (isOver = true),
  );
  while (!isOver) await clock.advance(100);
  return promise;
}

test("the clients are those that the aws cloud takes, and one launch lives from pending to gone", async () => {
  const clock = new VirtualClock();
  const fake = openAwsFake({ clock, random: seededRandom(1) });
  const clients: AwsClients = fake.clients;
  const { Parameter } = await through(
    clock,
    clients.ssm.send(new GetParameterCommand({ Name: "/aws/service/debian/release/12/latest/amd64" })),
  );
  const { GroupId } = await through(
    clock,
    clients.ec2.send(new CreateSecurityGroupCommand({ GroupName: "web", Description: "web" })),
  );
  await through(
    clock,
    clients.ec2.send(
      new CreateLaunchTemplateCommand({
        LaunchTemplateName: "drover-web",
        LaunchTemplateData: {
          ImageId: Parameter?.Value ?? "",
          InstanceType: "t3.micro",
          UserData: Buffer.from("#cloud-config\n").toString("base64"),
          SecurityGroupIds: [GroupId ?? ""],
        },
      }),
    ),
  );
  await clock.advance(10_000);
  const subnet = [...fake.world.subnets.values()][1];
  const input = {
    LaunchTemplate: { LaunchTemplateName: "drover-web" },
    SubnetId: subnet?.id ?? "",
    MinCount: 1,
    MaxCount: 3,
    ClientToken: "launch-1",
    TagSpecifications: [{ ResourceType: "instance" as const, Tags: [{ Key: "drover.dev/cluster", Value: "c" }] }],
  };
  const first = await through(clock, clients.ec2.send(new RunInstancesCommand(input)));
  const again = await through(clock, clients.ec2.send(new RunInstancesCommand(input)));
  const ids = first.Instances?.map(({ InstanceId }) => InstanceId ?? "") ?? [];
  expect(again.Instances?.map(({ InstanceId }) => InstanceId)).toEqual(ids);
  expect(first.Instances?.map(({ AmiLaunchIndex, State }) => [AmiLaunchIndex, State?.Name])).toEqual([
    [0, "pending"],
    [1, "pending"],
    [2, "pending"],
  ]);
  await clock.advance(60_000);
  const seen = async () => {
    const answer = await through(
      clock,
      clients.ec2.send(
        new DescribeInstancesCommand({
          Filters: [{ Name: "tag:drover.dev/cluster", Values: ["c"] }],
          MaxResults: 1000,
        }),
      ),
    );
    return answer.Reservations?.flatMap(({ Instances }) => Instances ?? []) ?? [];
  };
  expect((await seen()).map(({ State, Placement }) => [State?.Name, Placement?.AvailabilityZone])).toEqual(
    ids.map(() => ["running", "us-east-1b"]),
  );
  const text = await through(clock, clients.ec2.send(new GetConsoleOutputCommand({ InstanceId: ids[0] })));
  expect(Buffer.from(text.Output ?? "", "base64").toString()).toContain("-----BEGIN SSH HOST KEY KEYS-----");
  await through(clock, clients.ec2.send(new TerminateInstancesCommand({ InstanceIds: ids })));
  await clock.advance(400_000);
  expect((await seen()).map(({ State }) => State?.Name)).toEqual(ids.map(() => "terminated"));
  await clock.advance(3_600_000);
  expect(await seen()).toEqual([]);
  expect(fake.world.calls.get("RunInstances")).toBe(2);
});
