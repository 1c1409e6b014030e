import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type AwsRequest, xmlAnswer } from "./request.ts";
import { openTargets } from "./targets.ts";

const arn = "arn:group";

/** What its balancer leaves of an open connection, once a target of this kind of group has drained. */
test.for([
  { protocol: "TCP", cut: false },
  { protocol: "HTTP", cut: true },
])("a $protocol group at the end of its deregistration delay", async ({ protocol, cut }) => {
  const server = createServer().listen(0, "127.0.0.1");
  const targets = openTargets(() => "127.0.0.1", { lookEveryMs: 20, drainMs: 20, speed: 3_000 });
  onTestFinished(() => {
    targets.close();
    server.close();
  });
  const send = (action: string, fields: Record<string, string>) => {
    const parameters = new URLSearchParams({ TargetGroupArn: arn, ...fields });
    const service = "elasticloadbalancing";
    const request: AwsRequest = { service, action, parameters, method: "POST", path: "/", headers: {}, body: "" };
    const made = `<TargetGroupArn>${arn}</TargetGroupArn>`;
    return targets.manner(request, async (asked) => xmlAnswer(asked, made));
  };
  const one = { "Targets.member.1.Id": "i-1", "Targets.member.1.Port": "80" };
  await send("CreateTargetGroup", { Protocol: protocol });
  await send("RegisterTargets", one);
  const [target] = targets.of(arn);
  const ends: string[] = [];
  target?.open.add({ destroy: () => void ends.push("cut") });
  await send("DeregisterTargets", one);
  expect(targets.of(arn).map(({ state }) => state)).toEqual(["draining"]);
  await expect.poll(() => targets.of(arn), { timeout: 5_000, interval: 20 }).toEqual([]);
  expect(ends).toEqual(cut ? ["cut"] : []);
});
