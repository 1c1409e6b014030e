import { expect, test } from "vitest";
import { bytes, canonicalQuantity, compareQuantities, cpuMillis } from "../../src/api/quantity.ts";

test.for([
  ["0", "0"],
  ["0.0", "0"],
  ["1", "1"],
  ["2000m", "2"],
  ["1500m", "1500m"],
  ["0.5", "500m"],
  [".5", "500m"],
  ["5.", "5"],
  ["+1", "1"],
  ["-1", "-1"],
  ["1000", "1k"],
  ["1024", "1024"],
  ["1024Ki", "1Mi"],
  ["1Ki", "1Ki"],
  ["1000Ki", "1000Ki"],
  ["512", "512"],
  ["0.5Gi", "512Mi"],
  ["1.5Ki", "1536"],
  ["0.5Ki", "512"],
  ["0.1Ki", "102400m"],
  ["1e3", "1e3"],
  ["12E6", "12e6"],
  ["1E", "1E"],
  ["100k", "100k"],
  ["123456789", "123456789"],
  ["1n", "1n"],
  ["0.1n", "1n"],
  ["1e-3", "1e-3"],
  ["9223372036854775808", "9223372036854775807"],
] as const)("%s is written %s", ([text, canonical]) => {
  expect(canonicalQuantity(text)).toBe(canonical);
  expect(canonicalQuantity(canonical)).toBe(canonical);
});

test.for([
  ["100u", "1m"],
  ["1.0001", "1001m"],
  ["-1.0001", "-1001m"],
  ["250m", "250m"],
] as const)("in a list of resources %s becomes %s", ([text, canonical]) => {
  expect(canonicalQuantity(text, true)).toBe(canonical);
});

test.for(["", "abc", "1x", "1.2.3", "--1", "1 Gi", "1Gi ", "Gi", "1KiB", "9".repeat(300)])(
  "%j is no quantity",
  (text) => {
    expect(() => canonicalQuantity(text)).toThrow(/^quantities must match|^unable to parse quantity's suffix/);
  },
);

test("cpu counts in thousandths and rounds up", () => {
  expect([undefined, "1", "250m", "0.1", "1n"].map(cpuMillis)).toEqual([0, 1000, 250, 100, 1]);
});

test("memory counts in bytes and rounds up", () => {
  expect([undefined, "64Mi", "1k", "100m", "1.5Gi"].map(bytes)).toEqual([0, 67_108_864, 1000, 1, 1_610_612_736]);
});

test("amounts of different suffixes compare", () => {
  expect(compareQuantities("1Gi", "1024Mi")).toBe(0);
  expect(compareQuantities("999m", "1")).toBeLessThan(0);
  expect(compareQuantities("1G", "1000000k")).toBe(0);
  expect(compareQuantities("2", "1999m")).toBeGreaterThan(0);
});
