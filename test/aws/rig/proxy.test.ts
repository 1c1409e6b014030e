import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import {
  CreateLaunchTemplateCommand,
  DescribeInstancesCommand,
  EC2Client,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { expect, onTestFinished, test } from "vitest";
import { seededRandom } from "../../../src/base/random.ts";
import { startMoto } from "../moto/server.ts";
import { type FaultRule, openFaults } from "./faults.ts";
import { openJournal } from "./journal.ts";
import { startProxy } from "./proxy.ts";
import { openTokens } from "./tokens.ts";

/** EC2 through the proxy, to something that counts its requests and answers with their number. */
async function counted(rules: readonly FaultRule[] = []) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      asked.push(new URLSearchParams(body).get("Action") ?? "");
      const action = asked.at(-1);
      response.end(`<${action}Response><nextToken>${asked.length}</nextToken></${action}Response>`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const faults = openFaults({ random: seededRandom(1), slowMs: 300 });
  faults.use(rules);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const proxy = await startProxy(url, [faults.manner, openTokens().manner]);
  const ec2 = clientOf(proxy.url);
  onTestFinished(async () => {
    ec2.destroy();
    await proxy.close();
    server.closeAllConnections();
    server.close();
  });
  const describe = () => ec2.send(new DescribeInstancesCommand({}));
  return { asked, ec2, faults, describe };
}

const clientOf = (endpoint: string) =>
  new EC2Client({
    endpoint,
    region: "us-east-1",
    maxAttempts: 1,
    credentials: { accessKeyId: "moto", secretAccessKey: "moto" },
  });

const outcome = (call: Promise<{ NextToken?: string | undefined }>) =>
  call.then(
    ({ NextToken }) => NextToken,
    (error: Error) => error.name,
  );

test.for([
  { fault: "lost-request", told: expect.stringMatching(/Error|ECONN/), asked: 0 },
  { fault: "lost-reply", told: expect.stringMatching(/Error|ECONN/), asked: 1 },
  { fault: "duplicate", told: "1", asked: 2 },
  { fault: "throttle", told: "RequestLimitExceeded", asked: 0 },
  { fault: "slow", told: "1", asked: 1 },
] as const)("a call with the fault $fault", async ({ fault, told, asked }) => {
  const rig = await counted([{ fault, share: 1, times: 1 }]);
  const startMs = performance.now();
  expect(await outcome(rig.describe())).toEqual(told);
  if (fault === "slow") expect(performance.now() - startMs).toBeGreaterThan(290);
  expect(rig.asked.length).toBe(asked);
  expect(rig.faults.counts[fault]).toBe(1);
  expect(await outcome(rig.describe())).toBe(`${asked + 1}`);
});

test("a stale list is the one of a moment ago, and there is none before there was one", async () => {
  const { describe, faults } = await counted();
  faults.use([{ fault: "stale", share: 1 }]);
  expect(await outcome(describe())).toBe("1");
  faults.use([]);
  expect(await outcome(describe())).toBe("2");
  faults.use([{ fault: "stale", share: 1 }]);
  expect(await outcome(describe())).toBe("2");
});

test("rules are for some actions and for a share of the calls, the same ones for the same seed", async () => {
  const runs = [];
  for (let run = 0; run < 2; run++) {
    const { describe } = await counted([
      { fault: "throttle", share: 1, actions: /^Run/ },
      { fault: "throttle", share: 0.5 },
    ]);
    const told = [];
    for (let call = 0; call < 20; call++) told.push((await outcome(describe())) === "RequestLimitExceeded");
    runs.push(told);
  }
  expect(runs[0]).toEqual(runs[1]);
  expect(new Set(runs[0])).toEqual(new Set([true, false]));
});

test("moto behind the proxy remembers tokens, and nothing else is changed", { timeout: 120_000 }, async () => {
  const moto = await startMoto();
  const [faults, journal] = [openFaults({ random: seededRandom(1) }), openJournal()];
  const proxy = await startProxy(moto.url, [faults.manner, openTokens().manner, journal.manner]);
  const ec2 = clientOf(proxy.url);
  onTestFinished(async () => {
    ec2.destroy();
    await proxy.close();
    await moto.close();
  });
  const data = { ImageId: "ami-12c6146b", InstanceType: "t3.micro" } as const;
  await ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: "t", LaunchTemplateData: data }));
  const run = async (ClientToken: string, MaxCount = 1) => {
    const LaunchTemplate = { LaunchTemplateName: "t" };
    const { Instances = [] } = await ec2.send(
      new RunInstancesCommand({ LaunchTemplate, ClientToken, MinCount: 1, MaxCount }),
    );
    return Instances.map(({ InstanceId = "" }) => InstanceId);
  };
  const first = await run("a");
  expect(await run("a")).toEqual(first);
  await expect(run("a", 2)).rejects.toMatchObject({ name: "IdempotentParameterMismatch" });
  const [one, same, other] = await Promise.all([run("b"), run("b"), run("c")]);
  expect([same, other]).toEqual([one, expect.not.arrayContaining(one)]);
  faults.use([{ fault: "lost-reply", share: 1, times: 1 }]);
  await expect(run("d")).rejects.toThrow();
  const found = await run("d");
  const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({}));
  const ids = Reservations.flatMap(({ Instances = [] }) => Instances.map(({ InstanceId = "" }) => InstanceId));
  expect(new Set(ids)).toEqual(new Set([...first, ...one, ...other, ...found]));
  expect(ids.length).toBe(4);
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: ids }));
  expect(journal.entries.filter(({ request }) => request.action === "RunInstances").length).toBe(4);
});
