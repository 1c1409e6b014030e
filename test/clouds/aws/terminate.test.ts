import { expect, test } from "vitest";
import type { Send } from "../../../src/clouds/aws/api.ts";
import { awsError } from "../../../src/clouds/aws/errors.ts";
import { terminateMachines } from "../../../src/clouds/aws/terminate.ts";
import { openFake } from "../sim/aws/setup.ts";
import { inputsOf, launchOf, openParts } from "./parts.ts";

const idOf = (index: number): string => `i-${index.toString(16).padStart(17, "0")}`;
const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => idOf(index));

/** A send that refuses every call with one of `bad` in it, as `refuse` says; and what has ended. */
function stub(bad: ReadonlySet<string>, refuse: (found: string[]) => [code: string, message: string]) {
  const ended = new Set<string>();
  let calls = 0;
  const send = (async (_: string, command: { input: { InstanceIds?: string[] } }) => {
    calls++;
    const given = command.input.InstanceIds ?? [];
    const found = given.filter((id) => bad.has(id));
    if (found.length > 0) {
      const [name, message] = refuse(found);
      throw awsError(
        Object.assign(new Error(message), { name, $metadata: { httpStatusCode: 400 } }),
        "ec2:TerminateInstances",
      );
    }
    for (const id of given) ended.add(id);
    return {};
  }) as unknown as Send;
  return { send, ended, calls: () => calls };
}

test("a hundred at a time", async () => {
  const { send, ended, calls } = stub(new Set(), () => ["", ""]);
  await terminateMachines(send, [...ids(250), ...ids(10)]);
  expect([ended.size, calls()]).toEqual([250, 3]);
});

test("ids that AWS names as unknown are left out; that they are gone is a success", async () => {
  const bad = new Set([idOf(3), idOf(77)]);
  const { send, ended, calls } = stub(bad, (found) => [
    "InvalidInstanceID.NotFound",
    `The instance IDs '${found.join(", ")}' do not exist`,
  ]);
  await terminateMachines(send, ids(100));
  expect([ended.size, calls()]).toEqual([98, 2]);
});

test("a bad id that AWS doesn't name is found by halves", async () => {
  const { send, ended, calls } = stub(new Set([idOf(41)]), () => ["InvalidInstanceID.NotFound", "Some don't exist"]);
  await terminateMachines(send, ids(100));
  expect(ended.size).toBe(99);
  expect(calls()).toBeLessThan(16);
});

test("a machine that is protected keeps none of the others and is named", async () => {
  const { send, ended } = stub(new Set([idOf(7)]), ([found]) => [
    "OperationNotPermitted",
    `The instance '${found}' may not be terminated. Modify its 'disableApiTermination' instance attribute.`,
  ]);
  await expect(terminateMachines(send, ids(100))).rejects.toThrow(idOf(7));
  expect(ended.size).toBe(99);
});

test("where nothing is permitted the calls are few, and the action is named", async () => {
  const { send, calls } = stub(new Set(ids(100)), () => ["UnauthorizedOperation", "You are not authorized."]);
  await expect(terminateMachines(send, ids(100))).rejects.toThrow("ec2:TerminateInstances");
  expect(calls()).toBeLessThanOrEqual(80);
});

test("an outage is thrown as it is, after one call a chunk", async () => {
  const { send, calls } = stub(new Set(ids(200)), () => ["ServiceUnavailable", "try later"]);
  await expect(terminateMachines(send, ids(200))).rejects.toMatchObject({ code: "CLOUD_UNAVAILABLE" });
  expect(calls()).toBe(2);
});

test("machines end on the fake too, unknown ones beside them", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  const launched = await fake.through(machines.launch(launchOf("l-1", 5)));
  await fake.through(machines.terminate([...launched.map(({ id }) => id), idOf(1), "nonsense-id"]).catch(() => {}));
  await fake.clock.advance(300_000);
  const { machines: seen } = await fake.through(machines.observe());
  expect(seen.map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => "gone"));
  expect(inputsOf(fake, "TerminateInstances").length).toBeLessThanOrEqual(4);
});
