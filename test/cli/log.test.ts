import { expect, test } from "vitest";
import { DroverError } from "../../src/base/errors.ts";
import { openLog, readable } from "../../src/cli/log.ts";

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

test.for([
  [
    "of the catalogue is told once and without its stack",
    new DroverError("CLOUD_AUTH", "no", {}, new Error("why")),
    /info {2}pods: no \(key web\)\n$/,
  ],
  [
    "that the message does not name is told",
    new DroverError("CLOUD_AUTH", "yes"),
    /info {2}pods: no \(key web\) yes\n$/,
  ],
  ["that nobody foresaw is told with it", new TypeError("no"), /info {2}pods: no \(key web\) TypeError: no\n {4}at /],
] as const)("a failure %s", ([_what, error, want]) => {
  const lines: string[] = [];
  const log = (isTerminal: boolean) => openLog("info", isTerminal, { write: (line) => void lines.push(line) });
  for (const isTerminal of [true, false]) log(isTerminal).info({ key: "web", error }, "pods: no");
  const [line = "", json = ""] = lines;
  expect(line).toMatch(want);
  expect(JSON.parse(json)).toMatchObject({
    msg: "pods: no",
    error: { message: error.message, stack: expect.any(String) },
  });
});
