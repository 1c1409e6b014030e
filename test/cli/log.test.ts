import { expect, test } from "vitest";
import { readable } from "../../src/cli/log.ts";

const time = Date.UTC(2026, 0, 2, 14, 3, 7) + new Date(2026, 0, 2).getTimezoneOffset() * 60_000;

test.for([
  [{ level: 30, msg: "Serving." }, "14:03:07 info  Serving.\n"],
  [
    { level: 40, msg: "It waits.", pod: "default/web", slots: [1, 2] },
    "14:03:07 warn  It waits. (pod default/web, slots [1,2])\n",
  ],
  [{ level: 50, err: { message: "no", stack: "Error: no\n    at x" } }, "14:03:07 error Error: no\n    at x\n"],
  [{ level: 50, msg: "A plan failed:", err: { message: "no" } }, "14:03:07 error A plan failed: no\n"],
] as const)("%j reads %j", ([entry, line]) => {
  expect(readable(JSON.stringify({ ...entry, time }))).toBe(line);
});
