import { expect, test } from "vitest";
import { VirtualClock } from "../../../src/base/virtual.ts";
import type { Send } from "../../../src/clouds/aws/api.ts";
import { awsError } from "../../../src/clouds/aws/errors.ts";
import { GroupTargets } from "../../../src/clouds/aws/targets.ts";

type Input = { Targets?: { Id?: string }[] };

/** A target group whose answers say which ids they mean, or don't. */
function open(bad: readonly string[], names: boolean, room = Number.POSITIVE_INFINITY) {
  const calls: string[][] = [];
  const inside = new Set<string>();
  const send = (async (_service: string, command: { input: object }) => {
    const action = command.constructor.name.replace(/Command$/, "");
    const ids = ((command.input as Input).Targets ?? []).map(({ Id = "" }) => Id);
    if (action === "DescribeTargetHealth") {
      return {
        TargetHealthDescriptions: [...inside].map((Id) => ({
          Target: { Id, Port: 80 },
          TargetHealth: { State: "healthy" },
        })),
      };
    }
    calls.push(ids);
    const wrong = ids.filter((id) => bad.includes(id));
    if (wrong.length > 0) {
      const message = names
        ? `The targets '${wrong.join("', '")}' are not in a running state`
        : "some targets are not valid";
      throw awsError(Object.assign(new Error(message), { name: "InvalidTargetException" }), action);
    }
    if (action === "RegisterTargets" && new Set([...inside, ...ids]).size > room) {
      throw awsError(Object.assign(new Error("no room"), { name: "TooManyTargetsException" }), action);
    }
    for (const id of ids) if (action === "RegisterTargets") inside.add(id);
    for (const id of ids) if (action === "DeregisterTargets") inside.delete(id);
    return {};
  }) as Send;
  const clock = new VirtualClock();
  return { calls, inside, clock, group: new GroupTargets(send, clock, "arn") };
}
const ids = Array.from({ length: 40 }, (_, index) => `i-${String(index).padStart(3, "0")}`);
const targets = (draining = false) => ids.map((machineId) => ({ machineId, address: "10.0.0.1", port: 80, draining }));
const bad = ["i-007", "i-030"];

test.for([
  ["named", true, 4],
  ["not named", false, 24],
] as const)("targets that AWS refuses, %s, keep none of the others", async ([_how, names, callsMax]) => {
  const { group, inside, calls } = open(bad, names);
  await group.want(targets());
  expect([...inside].sort()).toEqual(ids.filter((id) => !bad.includes(id)));
  expect(calls.length).toBeLessThanOrEqual(callsMax);
  expect(group.isWaiting).toBe(true);
});

test("a wave goes and comes in one call of up to a hundred", async () => {
  const { group, inside, calls, clock } = open([], true);
  await group.want(targets());
  await group.look();
  await clock.advance(10_000);
  await group.want(targets(true));
  expect(calls.map(({ length }) => length)).toEqual([40, 40]);
  expect(inside.size).toBe(0);
});

test("a target that AWS does not know is out, and the others are told to go", async () => {
  const { group, calls } = open(bad, false);
  await group.want(targets(true));
  const gone = calls.filter((each) => !each.some((id) => bad.includes(id))).flat();
  expect(gone.sort()).toEqual(ids.filter((id) => !bad.includes(id)));
});

test("what waits for its order was changed by nobody else; what is seen to be otherwise afterwards was", async () => {
  const { group, inside, clock } = open([], true);
  const looked = async (order: Promise<void>) => {
    // The order may have to wait for its turn, and for its rate.
    expect(group.drift()).toBeUndefined();
    await order;
    await clock.advance(10_000);
    await group.look();
    expect(group.drift()).toBeUndefined();
  };
  await looked(group.want(targets()));
  await looked(group.want(targets().slice(1)));
  await looked(group.want(targets()));
  inside.delete("i-003");
  await group.look();
  expect(group.drift()).toBe("The target i-003:80 was deregistered.");
  await group.retry();
  await clock.advance(10_000);
  inside.add("i-999");
  await group.look();
  expect(group.drift()).toBe("The target i-999:80 was registered by somebody else.");
});

test("a target that AWS still shows, though it has forgotten the machine, is nobody's doing", async () => {
  const bad: string[] = [];
  const { group, clock } = open(bad, true);
  await group.want(targets());
  await group.look();
  bad.push("i-003");
  const left = group.want(targets().filter(({ machineId }) => machineId !== "i-003"));
  for (let seconds = 0; seconds < 120; seconds += 10) {
    await clock.advance(10_000);
    await group.look();
    expect(group.drift()).toBeUndefined();
  }
  await left;
});

test("a full group lets go of those that leave, and has room for those that come then", async () => {
  const { group, inside, clock } = open([], true, 40);
  await group.want(targets());
  await group.look();
  await clock.advance(10_000);
  const next = { machineId: "i-next", address: "10.0.0.1", port: 80, draining: false };
  const wanted = [...targets().map((each, index) => ({ ...each, draining: index < 10 })), next];
  await expect(group.want(wanted)).rejects.toMatchObject({ code: "CLOUD_QUOTA" });
  expect(inside.size).toBe(30);
  await clock.advance(10_000);
  await group.want(wanted);
  expect(inside).toContain("i-next");
});
