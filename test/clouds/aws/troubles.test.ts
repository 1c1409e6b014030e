import { expect, test } from "vitest";
import { openDenials } from "../../../src/clouds/aws/denials.ts";

test("a denied action is listed once it was left to its controller for a while, and forgotten ten minutes after", () => {
  let nowMs = 0;
  const denials = openDenials({ monotonicMs: () => nowMs });
  const at = (ms: number) => {
    nowMs = ms;
    return denials.list().map(({ message }) => message);
  };
  denials.note({ action: "ec2:A", message: "first" });
  expect(at(14_999)).toEqual([]);
  expect(at(15_000)).toEqual(["first"]);
  denials.note({ action: "ec2:A", message: "second" });
  expect(at(16_000)).toEqual(["second"]);
  expect(at(614_999)).toEqual(["second"]);
  expect(at(615_000)).toEqual([]);
});
