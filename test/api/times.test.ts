import { expect, test } from "vitest";
import { canonicalDurationText, canonicalMicroTimeText, canonicalTimeText } from "../../src/api/times.ts";

test.for([
  ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"],
  ["2026-01-02T03:04:05.987Z", "2026-01-02T03:04:05Z"],
  ["2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"],
] as const)("the time %s is written %s", ([text, written]) => expect(canonicalTimeText(text)).toBe(written));

test.for([
  ["2026-01-02T03:04:05.000001Z", "2026-01-02T03:04:05.000001Z"],
  ["2026-01-02T03:04:05.123456+01:00", "2026-01-02T02:04:05.123456Z"],
] as const)("the precise time %s is written %s", ([text, written]) => {
  expect(canonicalMicroTimeText(text)).toBe(written);
});

test.for([
  ["not-a-time", 'parsing time "not-a-time" as "2006-01-02T15:04:05Z07:00": cannot parse "not-a-time" as "2006"'],
  ["2026-01-02", 'parsing time "2026-01-02" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'],
  [
    "2026-01-02T03:04:05",
    'parsing time "2026-01-02T03:04:05" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00"',
  ],
  ["2026-01-02T03:04:05Zx", 'parsing time "2026-01-02T03:04:05Zx": extra text: "x"'],
] as const)("%s is no time", ([text, message]) => expect(() => canonicalTimeText(text)).toThrow(message));

test("a precise time needs its fraction", () => {
  expect(() => canonicalMicroTimeText("2026-01-01T00:00:00Z")).toThrow(
    'parsing time "2026-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
  );
});

test.for([
  ["1h", "1h0m0s"],
  ["90s", "1m30s"],
  ["1.5s", "1.5s"],
  ["1500ms", "1.5s"],
  ["15ms", "15ms"],
  ["0", "0s"],
  ["-2m", "-2m0s"],
] as const)("the duration %s is written %s", ([text, written]) => expect(canonicalDurationText(text)).toBe(written));

test("a number without a unit is no duration", () =>
  expect(() => canonicalDurationText("5")).toThrow("invalid duration"));
