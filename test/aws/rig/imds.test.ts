import { expect, test } from "vitest";
import { openImds } from "./imds.ts";

const one = "172.31.0.4";
const metadata = { "meta-data": { "instance-id": "i-1", placement: { region: "r" } }, "user-data": Buffer.from([31]) };

/** The service for one machine, a clock to turn, and a session of it. */
function service() {
  const clock = { nowMs: 0 };
  const imds = openImds(
    (address) => (address === one ? metadata : undefined),
    () => clock.nowMs,
  );
  const session = (ttl: string | undefined, address = one) =>
    imds.answer(
      { method: "PUT", path: "/latest/api/token", headers: { "x-aws-ec2-metadata-token-ttl-seconds": ttl } },
      address,
    );
  const token = String(session("60").body);
  const get = (path: string, headers = { "x-aws-ec2-metadata-token": token }, address = one) =>
    imds.answer({ method: "GET", path, headers }, address);
  return { clock, session, get };
}

test.for([
  ["/latest/meta-data/instance-id", { status: 200, body: "i-1" }],
  ["/2021-03-23/meta-data/placement/region", { status: 200, body: "r" }],
  ["/latest/meta-data/", { status: 200, body: "instance-id\nplacement/" }],
  ["/latest/user-data", { status: 200, body: Buffer.from([31]) }],
  ["/latest/meta-data/spot/instance-action", { status: 404, body: "Not Found" }],
  ["/latest/meta-data/instance-id/more", { status: 404, body: "Not Found" }],
  ["/never/meta-data/instance-id", { status: 404, body: "Not Found" }],
  ["/latest/meta-data/constructor", { status: 404, body: "Not Found" }],
] as const)("%s", ([path, answer]) => {
  expect(service().get(path)).toEqual(answer);
});

test("nothing is told without a session of one's own that still lasts", () => {
  const { clock, session, get } = service();
  const path = "/latest/meta-data/instance-id";
  expect(get(path, { "x-aws-ec2-metadata-token": "" }).status).toBe(401);
  expect(get(path, { "x-aws-ec2-metadata-token": String(session("60", "172.31.0.5").body) }).status).toBe(401);
  clock.nowMs = 60_001;
  expect(get(path).status).toBe(401);
  for (const ttl of [undefined, "0", "21601", "long"]) expect(session(ttl).status).toBe(400);
});
