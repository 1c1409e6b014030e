import { expect, test } from "vitest";
import { awsError } from "../../../src/clouds/aws/errors.ts";
import { openTroubles } from "../../../src/clouds/aws/troubles.ts";

function opened() {
  let nowMs = 0;
  const troubles = openTroubles({ monotonicMs: () => nowMs });
  return {
    troubles,
    fail: (name: string, message = "") => troubles.note(awsError({ name, message }, "ec2:RunInstances")),
    at(ms: number) {
      nowMs = ms;
      return troubles.list().map(({ message }) => message);
    },
  };
}

test("a trouble is listed once it was left to its controller for a while, and forgotten ten minutes after", () => {
  const { fail, at } = opened();
  fail("UnauthorizedOperation", "User: one is not authorized to perform: ec2:RunInstances on resource: first");
  expect(at(14_999)).toEqual([]);
  expect(at(15_000)).toEqual([expect.stringMatching(/permit ec2:RunInstances on first to one/)]);
  fail("UnauthorizedOperation", "User: one is not authorized to perform: ec2:RunInstances on resource: second");
  expect(at(16_000)).toEqual([expect.stringMatching(/permit ec2:RunInstances on second to one/)]);
  expect(at(614_999)).toHaveLength(1);
  expect(at(615_000)).toEqual([]);
});

test.for([
  ["AccessDenied", "NotPermitted"],
  ["ExpiredToken", "NotLoggedIn"],
  ["CredentialsProviderError", "NotLoggedIn"],
  ["ENOTFOUND", "NoSuchHost"],
  ["RequestLimitExceeded", undefined],
  ["InsufficientInstanceCapacity", undefined],
  ["ServiceUnavailable", undefined],
] as const)("%s is a trouble of the user's: %s", ([code, reason]) => {
  const { troubles, fail, at } = opened();
  fail(code);
  at(15_000);
  const [told] = troubles.list();
  expect(told?.reason).toBe(reason);
  // Whoever tells of it says its cause, by which it is known that it was told.
  if (told) expect(told.message).toContain(told.cause);
});

test("a login ends its own trouble and no other", () => {
  const { troubles, fail, at } = opened();
  fail("ExpiredToken");
  fail("UnauthorizedOperation");
  troubles.loggedIn();
  expect(at(15_000)).toEqual([expect.stringMatching(/does not permit ec2:RunInstances/)]);
});
