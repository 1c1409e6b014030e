import { DescribeVpcsCommand } from "@aws-sdk/client-ec2";
import { expect, test } from "vitest";
import { type AwsCloudOptions, openAwsCloud } from "../../../src/clouds/aws/cloud.ts";
import { AwsError } from "../../../src/clouds/sim/aws/errors.ts";
import { openFake } from "../sim/aws/setup.ts";
import { type Fake, launchOf } from "./parts.ts";

function open(fake: Fake, options: Partial<AwsCloudOptions> = {}) {
  const told: string[] = [];
  const { clients, clock } = fake;
  const onWarning = (message: string) => told.push(message);
  return { told, cloud: openAwsCloud({ clients, clock, cluster: "c", region: "us-east-1", onWarning, ...options }) };
}

test("nothing is called before something is asked for", async () => {
  const fake = openFake();
  const { cloud } = open(fake);
  await fake.clock.advance(3_600_000);
  expect(fake.world.calls.size).toBe(0);
  expect(await cloud.surroundings()).toEqual({ nameservers: ["169.254.169.253"], namesOnly: true });
});

test("an image is looked up, offers are of the network's zones, and a machine is launched, found and ended", async () => {
  const fake = openFake();
  const { cloud } = open(fake);
  const image = await fake.through(cloud.machines.image("al2023", "amd64"));
  expect(image).toMatchObject({ family: "amazon-linux", architecture: "amd64" });
  const offers = await fake.through(cloud.machines.offers());
  expect(new Set(offers.map(({ zone }) => zone))).toEqual(new Set(["us-east-1a", "us-east-1b", "us-east-1c"]));
  const launch = launchOf("l-1", 2, { template: { image: image.id } });
  await fake.through(cloud.machines.launch(launch));
  await fake.clock.advance(60_000);
  const { machines } = await fake.through(cloud.machines.observe());
  expect(machines).toHaveLength(2);
  expect(machines[0]?.publicAddress).toMatch(/^203\.0\./);
  await fake.through(cloud.machines.terminate(machines.map(({ id }) => id)));
  await fake.through(cloud.removeRest());
  expect(fake.world.launchTemplates.size).toBe(0);
  expect([...fake.world.securityGroups.values()].map(({ name }) => name)).toEqual(["default"]);
});

test("a tag that can't be set is refused before anything is made", () => {
  expect(() => open(openFake(), { tags: { "aws:x": "1" } })).toThrow(/"aws:x"/);
});

test("credentials that expire in the middle pause everything with one message, and it goes on after a new login", async () => {
  const fake = openFake();
  let resumed = 0;
  let refreshed = 0;
  let expired = false;
  const refresh = () => {
    refreshed++;
  };
  fake.world.hooks.beforeCall = () => {
    if (expired) throw new AwsError("ExpiredToken", "The security token included in the request is expired");
  };
  const onResume = () => {
    resumed++;
  };
  const { cloud, told } = open(fake, { refresh, onResume });
  const launched = await fake.through(cloud.machines.launch(launchOf("l-1", 5)));
  expired = true;
  const refused: string[] = [];
  for (let minute = 0; minute < 10; minute++) {
    await fake.clock.advance(60_000);
    expect((await fake.through(cloud.machines.observe())).complete).toBe(false);
    const launch = cloud.machines.launch(launchOf(`l-2-${minute}`, 5));
    refused.push(
      await fake.through(
        launch.then(
          () => "ok",
          ({ code }: { code: string }) => code,
        ),
      ),
    );
  }
  expect(new Set(refused)).toEqual(new Set(["CLOUD_AUTH"]));
  expect(told).toEqual([
    "AWS does not accept the credentials (ExpiredToken: The security token included in the request is expired): " +
      "log in again, for example with `aws sso login`. Nothing is launched or ended until then; what serves goes on.",
  ]);
  expect([resumed, refreshed]).toEqual([0, 9]);
  expired = false;
  await fake.clock.advance(60_000);
  await fake.through(cloud.send("ec2", new DescribeVpcsCommand({})));
  expect(resumed).toBe(1);
  const { machines, complete } = await fake.through(cloud.machines.observe());
  expect([machines.map(({ id }) => id).sort(), complete]).toEqual([launched.map(({ id }) => id).sort(), true]);
  expect(fake.world.instances.size).toBe(5);
});

test.for([true, false])(
  "an expired login is known for what it is, by whomever it is found out (SSO: %s)",
  async (sso) => {
    const fake = openFake();
    const { cloud, told } = open(fake);
    fake.world.conditions.expired.push({ fromMs: 0, untilMs: 60_000, sso });
    const calls = [cloud.machines.image("debian-12", "amd64"), cloud.machines.launch(launchOf("l-1", 1))];
    const outcomes = await fake.through(Promise.allSettled(calls));
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: "CLOUD_AUTH" } });
    expect(told).toEqual([expect.stringMatching(/log in again.*Nothing is launched or ended until then/)]);
    await fake.clock.advance(60_000);
    expect(await fake.through(cloud.machines.launch(launchOf("l-1", 1)))).toHaveLength(1);
    expect(told).toHaveLength(1);
  },
);
