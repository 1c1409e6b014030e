import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { buildDemoImages } from "../../../src/clouds/local/demo-image.ts";
import { runTool } from "../../../src/clouds/local/run-tool.ts";

/** Which build of glibc a file belongs to: `GLIBC 2.36-9+deb12u14`. */
const build = (path: string): string | undefined => /GLIBC \d[\w.+-]+(?=\) )/.exec(readFileSync(path, "latin1"))?.[0];

test("the loader in the image is that of its libraries, whatever the computer's own is", {
  timeout: 300_000,
}, async () => {
  const [image] = await buildDemoImages();
  const folder = mkdtempSync(join(tmpdir(), "drover-image-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const root = join(folder, "root");
  mkdirSync(root);
  await runTool(["tar", "-xf", image?.archive ?? "", "-C", folder]);
  const blobs = join(folder, "blobs/sha256");
  for (const name of readdirSync(blobs)) {
    // The manifest and the configuration are blobs too, but no archives.
    await runTool(["tar", "-xf", join(blobs, name), "-C", root]).catch(() => undefined);
  }
  const library = build(join(root, "usr/lib/x86_64-linux-gnu/libc.so.6"));
  expect(library).toMatch(/^GLIBC 2\.36/);
  expect(build(join(root, "lib64/ld-linux-x86-64.so.2"))).toBe(library);
});
