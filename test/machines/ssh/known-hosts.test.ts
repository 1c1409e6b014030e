import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openKnownHosts } from "../../../src/machines/ssh/known-hosts.ts";

test("what is known of host keys outlives the process, the newest word counts", () => {
  const folder = mkdtempSync(join(tmpdir(), "known-hosts-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "known-hosts");
  const first = openKnownHosts(file);
  expect(first.get("i-1")).toBeUndefined();
  first.set("i-1", "SHA256:old");
  first.set("i-2", "SHA256:two");
  first.set("i-1", "SHA256:new");
  const second = openKnownHosts(file);
  expect([second.get("i-1"), second.get("i-2")]).toEqual(["SHA256:new", "SHA256:two"]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});
