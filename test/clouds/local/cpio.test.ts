import { expect, test } from "vitest";
import { cpio } from "../../../src/clouds/local/cpio.ts";

/** Reads an archive as the kernel does: headers in hexadecimal, every part at a multiple of four. */
function entriesOf(archive: Buffer): { path: string; mode: string; content: string }[] {
  const found: { path: string; mode: string; content: string }[] = [];
  for (let at = 0; at < archive.length; ) {
    expect(archive.toString("latin1", at, at + 6)).toBe("070701");
    const field = (index: number) =>
      Number.parseInt(archive.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const nameAt = at + 110;
    const contentAt = (nameAt + nameSize + 3) & ~3;
    const path = archive.toString("utf8", nameAt, nameAt + nameSize - 1);
    if (path === "TRAILER!!!") return found;
    found.push({ path, mode: mode.toString(8), content: archive.toString("utf8", contentAt, contentAt + size) });
    at = (contentAt + size + 3) & ~3;
  }
  throw new Error("the archive has no end");
}

test("an archive gives back its directories and files, whatever their lengths", () => {
  const texts = ["", "1", "12", "123", "1234", "12345"];
  const files = texts.map((text, index) => ({
    path: `f${"x".repeat(index)}`,
    mode: 0o600,
    content: Buffer.from(text),
  }));
  const read = entriesOf(cpio([{ path: "etc", mode: 0o755 }, ...files]));
  expect(read[0]).toEqual({ path: "etc", mode: "40755", content: "" });
  expect(read.slice(1)).toEqual(files.map(({ path }, i) => ({ path, mode: "100600", content: texts[i] })));
});

test("archives may follow one another, as a machine's seed follows the image's own", () => {
  const one = cpio([{ path: "a", mode: 0o644, content: Buffer.from("first") }]);
  expect(one.length % 4).toBe(0);
  expect(entriesOf(one)).toEqual([{ path: "a", mode: "100644", content: "first" }]);
});
