import { expect, onTestFinished, test, vi } from "vitest";
import { terminal } from "../../src/cli/print.ts";

/** What a terminal of this many columns is sent by `lines`. */
function shown(columns: number, lines: readonly string[]): string {
  const before = { isTTY: process.stderr.isTTY, columns: process.stderr.columns };
  Object.assign(process.stderr, { isTTY: true, columns });
  vi.stubEnv("NO_COLOR", undefined);
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  onTestFinished(() => {
    Object.assign(process.stderr, before);
    write.mockRestore();
    vi.unstubAllEnvs();
  });
  terminal().live(lines);
  return write.mock.calls.map(([text]) => String(text)).join("");
}

test("a live line never wraps, so that the next redraw begins where this one did", () => {
  expect(shown(10, ["0123456789abc", "short"])).toBe("012345678\nshort\n");
});

test("a terminal that doesn't know its width is taken for one of 80 columns", () => {
  expect(shown(0, ["packages: unpacking"])).toBe("packages: unpacking\n");
});
