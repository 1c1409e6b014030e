import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { DroverError } from "../base/errors.ts";
import { type HostPackage, hostPackages } from "../clouds/local/packages.ts";
import type { Terminal } from "./print.ts";

/** @throws SETUP_MISSING with the exact steps where drover can't or may not install. */
export async function installHostPackages(io: Terminal, yes: boolean): Promise<void> {
  const names = hostPackages.map(({ name }) => name).join(" ");
  if (process.platform !== "linux" || !existsSync("/usr/bin/apt-get")) {
    throw new DroverError(
      "SETUP_MISSING",
      `drover sets itself up on Debian and Ubuntu. On ${process.platform} install the equals of: ${names}; or try --cloud sim, which needs nothing but Node`,
    );
  }
  const missing = hostPackages.filter(({ name }) => !isInstalled(name));
  if (missing.length === 0) return;
  io.say("drover needs these packages for virtual machines on this computer:");
  for (const { name, why } of missing) io.say(`  ${name.padEnd(24)} ${why}`);
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo"];
  if (asRoot.length > 0 && !yes && !(await agrees(io))) {
    throw new DroverError("SETUP_MISSING", `not installed: sudo ${aptWords(missing).join(" ")}`);
  }
  const environment = ["env", "DEBIAN_FRONTEND=noninteractive"];
  apt([...asRoot, ...environment, "apt-get", "update", "-qq"]);
  apt([...asRoot, ...environment, ...aptWords(missing)]);
}

const aptWords = (packages: readonly HostPackage[]): string[] => [
  "apt-get",
  "install",
  "-y",
  "-qq",
  "--no-install-recommends",
  ...packages.map(({ name }) => name),
];

function isInstalled(name: string): boolean {
  const { stdout } = spawnSync("dpkg", ["--status", name], { encoding: "utf8" });
  return /^Status: \S+ \S+ installed$/m.test(stdout);
}

async function agrees(io: Terminal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    io.say("(no terminal to ask on; --yes agrees beforehand)");
    return false;
  }
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await reader.question("Install them with sudo? [Y/n] ");
  reader.close();
  return /^(y|yes|)$/i.test(answer.trim());
}

function apt([command = "", ...words]: readonly string[]): void {
  const { status } = spawnSync(command, words, { stdio: ["inherit", 2, 2] });
  if (status !== 0) throw new DroverError("SETUP_MISSING", `failed: ${[command, ...words].join(" ")}`);
}
