import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { rootScript } from "../../src/cli/prepare-host.ts";

const setting = { name: "a", why: "b", command: "echo a >/etc/a" };

test("one script installs the packages and makes the settings", () => {
  expect(rootScript([{ name: "one" }, { name: "two" }], [setting])).toBe(
    "set -e; export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1; apt-get update -q || true; apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 one two; echo a >/etc/a",
  );
});

test("settings alone don't touch the packages", () => {
  expect(rootScript([], [setting])).toBe("set -e; echo a >/etc/a");
});

test("a setting that fails ends the script", () => {
  const failing = { ...setting, command: "false" };
  const later = { ...setting, command: "echo reached" };
  expect(() => execFileSync("sh", ["-c", rootScript([], [failing, later])])).toThrow();
});
