import { DescribeInstancesCommand, DescribeVpcsCommand, RunInstancesCommand } from "@aws-sdk/client-ec2";
import { DescribeTargetHealthCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { expect, test } from "vitest";
import { VirtualClock } from "../../../src/base/virtual.ts";
import type { AwsClients } from "../../../src/clouds/aws/api.ts";
import { type CallOptions, openSend } from "../../../src/clouds/aws/call.ts";

const failure = (name: string, httpStatusCode: number): Error =>
  Object.assign(new Error(name), { name, $metadata: { httpStatusCode } });

/** Clients whose every call is answered by `answer`; `sentMs` has the times of the calls. */
function open(answer: (call: number) => object, options?: CallOptions) {
  const clock = new VirtualClock();
  const sentMs: number[] = [];
  const client = {
    send: async () => {
      sentMs.push(clock.monotonicMs());
      return answer(sentMs.length);
    },
  };
  const clients = Object.fromEntries(
    ["ec2", "elb", "route53", "ssm", "pricing", "quotas", "sts"].map((service) => [service, client]),
  ) as unknown as AwsClients;
  return { clock, sentMs, send: openSend(clients, clock, options) };
}

const describe = () => new DescribeVpcsCommand({});
const run = () => new RunInstancesCommand({ MinCount: 1, MaxCount: 1 });

/** Follows many promises without losing a rejection. */
const codes = (calls: Promise<unknown>[]) =>
  calls.map((call) => call.then(() => "ok").catch((error: { code?: string }) => error.code ?? String(error)));

test("calls go out at the rate of their action's bucket and in order", async () => {
  const { clock, sentMs, send } = open(() => ({}));
  const calls = Array.from({ length: 9 }, () => send("ec2", run()));
  await clock.advance(60_000);
  await Promise.all(calls);
  expect(sentMs).toEqual([0, 0, 0, 0, 0, 500, 1_000, 1_500, 2_000]);
});

test("instances are a second bucket: the thousandth is free, the next waits", async () => {
  const { clock, sentMs, send } = open(() => ({}));
  const calls = Array.from({ length: 12 }, () => send("ec2", run(), { resources: 100 }));
  await clock.advance(200_000);
  await Promise.all(calls);
  expect(sentMs.at(9)).toBe(2_500);
  expect(sentMs.at(10)).toBe(50_000);
  expect(sentMs.at(11)).toBe(100_000);
});

test("actions of EC2 wait for themselves alone, reads of load balancers for each other", async () => {
  const { clock, sentMs, send } = open(() => ({}));
  const calls = [
    ...Array.from({ length: 5 }, () => send("ec2", run())),
    send("ec2", describe()),
    ...Array.from({ length: 41 }, () => send("elb", new DescribeTargetHealthCommand({ TargetGroupArn: "a" }))),
  ];
  await clock.advance(10_000);
  await Promise.all(calls);
  expect(sentMs.slice(0, 46).every((ms) => ms === 0)).toBe(true);
  expect(sentMs.at(46)).toBe(100);
});

test("a throttled call is sent again, slower, and told after the third time", async () => {
  const { clock, sentMs, send } = open(() => {
    throw failure("RequestLimitExceeded", 503);
  });
  const [told] = codes([send("ec2", describe())]);
  await clock.advance(60_000);
  expect(await told).toBe("CLOUD_THROTTLED");
  // 20 a second: halved once, halved twice.
  expect(sentMs).toEqual([0, 100, 300]);
});

test("a throttled bucket gets its rate back", async () => {
  let throttling = true;
  const { clock, sentMs, send } = open(() => {
    if (throttling) throw failure("RequestLimitExceeded", 503);
    return {};
  });
  const [told] = codes([send("ec2", run())]);
  await clock.advance(30_000);
  expect(await told).toBe("CLOUD_THROTTLED");
  throttling = false;
  await clock.advance(300_000);
  const before = sentMs.length;
  const calls = Array.from({ length: 7 }, () => send("ec2", run()));
  await clock.advance(10_000);
  await Promise.all(calls);
  const startMs = sentMs[before] ?? 0;
  expect(sentMs.slice(before).map((ms) => ms - startMs)).toEqual([0, 0, 0, 0, 0, 500, 1_000]);
});

test("who gives up waiting takes nothing", async () => {
  const { clock, sentMs, send } = open(() => ({}));
  for (let each = 0; each < 5; each++) await send("ec2", run());
  const aborters = Array.from({ length: 20 }, () => new AbortController());
  const given = codes(aborters.map(({ signal }) => send("ec2", run(), { signal })));
  for (const aborter of aborters) aborter.abort("enough");
  expect(new Set(await Promise.all(given))).toEqual(new Set(["enough"]));
  const next = send("ec2", run());
  await clock.advance(1_000);
  await next;
  expect(sentMs.at(-1)).toBe(500);
});

test("an expired login is told once; one call in ten seconds looks for a new one", async () => {
  const told: string[] = [];
  let refreshed = 0;
  let expired = true;
  const { clock, sentMs, send } = open(
    () => {
      if (expired) throw failure("ExpiredToken", 400);
      return {};
    },
    {
      onPause: (message) => told.push(message),
      onResume: () => told.push("resumed"),
      refresh: () => {
        refreshed++;
      },
    },
  );
  const burst = codes(Array.from({ length: 30 }, () => send("ec2", new DescribeInstancesCommand({}))));
  expect(new Set(await Promise.all(burst))).toEqual(new Set(["CLOUD_AUTH"]));
  expect(told).toHaveLength(1);
  const sent = sentMs.length;
  for (let second = 0; second < 60; second++) {
    await clock.advance(1_000);
    await Promise.all(codes([send("ec2", describe()), send("ec2", run())]));
  }
  expect(sentMs.length - sent).toBe(6);
  expect(refreshed).toBe(6);
  expect(told).toHaveLength(1);
  expired = false;
  await clock.advance(10_000);
  expect(await Promise.all(codes([send("ec2", describe()), send("ec2", run())]))).toEqual(["ok", "CLOUD_AUTH"]);
  expect(await Promise.all(codes([send("ec2", run())]))).toEqual(["ok"]);
  expect(told).toEqual([expect.stringContaining("ExpiredToken"), "resumed"]);
});

test("a probe that AWS doesn't answer ends nothing", async () => {
  const answers = ["ExpiredToken", "ServiceUnavailable", "ExpiredToken"];
  const told: string[] = [];
  const { clock, send } = open(
    (call) => {
      const name = answers[call - 1];
      if (name !== undefined) throw failure(name, name === "ExpiredToken" ? 400 : 503);
      return {};
    },
    { onPause: () => told.push("paused"), onResume: () => told.push("resumed") },
  );
  const seen: (string | undefined)[] = [];
  for (let probe = 0; probe < 4; probe++) {
    seen.push(...(await Promise.all(codes([send("ec2", describe())]))));
    await clock.advance(10_000);
  }
  expect(seen).toEqual(["CLOUD_AUTH", "CLOUD_UNAVAILABLE", "CLOUD_AUTH", "ok"]);
  expect(told).toEqual(["paused", "resumed"]);
});

test("a denied action holds nobody else up", async () => {
  const { send } = open((call) => {
    if (call === 1) throw failure("UnauthorizedOperation", 403);
    return {};
  });
  expect(await Promise.all(codes([send("ec2", run())]))).toEqual(["CLOUD_AUTH"]);
  expect(await Promise.all(codes([send("ec2", run())]))).toEqual(["ok"]);
});

test("the call's action is spelled as IAM spells it", async () => {
  const { send } = open(() => {
    throw failure("AccessDenied", 403);
  });
  await expect(send("elb", new DescribeTargetHealthCommand({ TargetGroupArn: "a" }))).rejects.toMatchObject({
    details: { action: "elasticloadbalancing:DescribeTargetHealth" },
  });
});
