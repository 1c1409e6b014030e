import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { noNamespaces, rootScript, stepsElsewhere } from "../../src/cli/prepare-host.ts";
import { onTerminal } from "../clients/terminal.ts";

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

const qemu = { brings: "qemu-img", why: "makes disks" };

test.each([
  [
    "and settings are given as one command",
    [setting],
    ["  2. As root, once: sh -c 'set -e; echo a >/etc/a'", "  3. npm start"],
  ],
  ["and nothing else where no setting is needed", [], ["  2. npm start"]],
])("elsewhere programs are named instead of packages, %s", (_, settings, rest) => {
  expect(stepsElsewhere("Fedora Linux 43", [qemu], settings).split("\n")).toEqual([
    "drover installs its packages by itself on Debian and Ubuntu only, this is Fedora Linux 43. Here:",
    "  1. With this system's package manager, install what brings:",
    "     qemu-img   makes disks",
    ...rest,
    "Without any of it, on a simulated cloud: npm start -- --cloud sim",
  ]);
});

test("where namespaces can't be had, what is said ends with a command that can be run instead", () => {
  expect(noNamespaces({ root: true })).toMatch(/: npm start -- --cloud sim$/);
  expect(noNamespaces({ root: false })).toMatch(/\n {2}sudo npm start\n.*: npm start -- --cloud sim$/);
});

test("what runs as root has no terminal to be stopped on, though drover has one", () => {
  const call = 'asRoot({ live() {}, settle() {} }, [], "test -t 0 && exit 7; exit 0")';
  const code = `import("./dist/cli/prepare-host.js").then(({ asRoot }) => ${call}).then((said) => console.log("said " + said))`;
  const [program, ...words] = onTerminal([process.execPath, "-e", code]);
  const printed = execFileSync(program, words, { encoding: "utf8", timeout: 20_000, stdio: "pipe" });
  expect(printed.trim()).toBe("said undefined");
});
