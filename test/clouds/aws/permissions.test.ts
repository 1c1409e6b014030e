import { expect, test } from "vitest";
import { DroverError } from "../../../src/base/errors.ts";
import { openFake } from "../sim/aws/setup.ts";
import { launchOf, openParts } from "./parts.ts";

const template = { ports: [{ port: 80, protocol: "TCP" }], profile: "web" } as const;

/** All that the machines' side does in the life of a cluster, each step by itself; the failures. */
async function everything(denied: string): Promise<unknown[]> {
  const fake = openFake();
  const profile = { arn: "arn:aws:iam::123456789012:instance-profile/web", visibleAtMs: 0 };
  fake.world.instanceProfiles.set("web", profile);
  fake.world.conditions.denied.add(denied);
  const { machines, groups, templates, images } = openParts(fake, { groups: { operatorCidrs: ["203.0.113.7/32"] } });
  const failures: unknown[] = [];
  const step = <T>(call: Promise<T>): Promise<T | undefined> =>
    fake.through(
      call.catch((error: unknown) => {
        failures.push(error);
        return undefined;
      }),
    );
  await step(images.find("debian-12", "amd64"));
  const launched = (await step(machines.launch(launchOf("l-1", 2, { template })))) ?? [];
  await step(machines.console(launched[0]?.id ?? "i-0123456789abcdef0"));
  await step(machines.terminate(launched.map(({ id }) => id)));
  // Groups of machines that could not be ended can't go either.
  if (failures.length > 0) return failures;
  await step(templates.remove());
  await step(groups.remove());
  return failures;
}

test.for([
  "ec2:AuthorizeSecurityGroupIngress",
  "ec2:CreateLaunchTemplate",
  "ec2:CreateSecurityGroup",
  "ec2:CreateTags",
  "ec2:DeleteLaunchTemplate",
  "ec2:DeleteSecurityGroup",
  "ec2:DescribeImages",
  "ec2:DescribeInstances",
  "ec2:DescribeLaunchTemplates",
  "ec2:DescribeRouteTables",
  "ec2:DescribeSecurityGroups",
  "ec2:DescribeSubnets",
  "ec2:DescribeVpcs",
  "ec2:GetConsoleOutput",
  "ec2:RunInstances",
  "ec2:TerminateInstances",
  "iam:PassRole",
  "ssm:GetParameter",
])("without %s what fails names exactly that", async (action) => {
  const failures = await everything(action);
  expect(failures.length).toBeGreaterThan(0);
  for (const error of failures) {
    expect(error).toBeInstanceOf(DroverError);
    if (!(error instanceof DroverError)) continue;
    expect([error.code, error.details["action"]]).toEqual(["CLOUD_AUTH", action]);
    expect(error.message).toContain(`AWS does not permit ${action}`);
    expect(error.message).toContain("to arn:aws:iam::123456789012:user/drover");
    expect(error.message).not.toContain("Encoded");
  }
});

test("nothing fails where everything is permitted", async () => {
  expect(await everything("ec2:Nothing")).toEqual([]);
});
