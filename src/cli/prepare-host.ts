import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { createInterface } from "node:readline/promises";
import { DroverError } from "../base/errors.ts";
import {
  type HostFacts,
  type HostSetting,
  isUsable,
  neededSettings,
  readHostFacts,
} from "../clouds/local/host-settings.ts";
import { type HostPackage, hostPackages } from "../clouds/local/packages.ts";
import { searchPath } from "../clouds/local/search-path.ts";
import { columns, type Terminal } from "./print.ts";

const withoutAll = "Without any of it, on a simulated cloud: npm start -- --cloud sim";

/**
 * What only root can do for virtual machines on this computer: packages and settings, all of them asked for once.
 * @throws SETUP_MISSING with the exact steps where drover can't or may not take them
 */
export async function prepareHost(io: Terminal, yes: boolean): Promise<void> {
  if (process.platform !== "linux") {
    throw new DroverError(
      "SETUP_MISSING",
      `machines on this computer need Linux, this is ${process.platform}. In a virtual machine with Debian or Ubuntu (on Windows: wsl --install -d Debian), npm start does the rest.\n${withoutAll}`,
    );
  }
  const facts = readHostFacts();
  const packages = hostPackages.filter((one) => !isThere(one));
  const settings = neededSettings(facts);
  if (packages.length > 0 || settings.length > 0) await makeSo(io, yes, facts, packages, settings);
  if (!readHostFacts().namespaces) throw new DroverError("SETUP_MISSING", noNamespaces(facts));
  if (existsSync("/dev/kvm") && !isUsable("/dev/kvm")) {
    io.say(`/dev/kvm is closed to ${facts.user}: machines are emulated, which is slow. To change that:`);
    io.say(`  sudo usermod -aG kvm ${facts.user}    # then log in again`);
  }
}

async function makeSo(
  io: Terminal,
  yes: boolean,
  { root, system }: HostFacts,
  packages: readonly HostPackage[],
  settings: readonly HostSetting[],
): Promise<void> {
  if (packages.length > 0 && !(system.installs && existsSync("/usr/bin/apt-get"))) {
    throw new DroverError("SETUP_MISSING", stepsElsewhere(system.name, packages, settings));
  }
  const script = rootScript(packages, settings);
  const command = `${root ? "" : "sudo "}sh -c '${script}'`;
  io.say("For virtual machines on this computer drover needs, once:");
  const rows = [
    ...packages.map(({ name, why }) => ["  package", name, why]),
    ...settings.map(({ name, why }) => ["  setting", name, why]),
  ];
  for (const line of columns(rows)) io.say(line);
  if (!root && findProgram("sudo") === undefined) {
    throw new DroverError(
      "SETUP_MISSING",
      `there is no sudo here. As root, once:\n  ${command.slice(5)}\n${withoutAll}`,
    );
  }
  if (!root && !yes && !(await agrees(io))) {
    throw new DroverError(
      "SETUP_MISSING",
      `nothing was installed. To do it yourself, once:\n  ${command}\n${withoutAll}`,
    );
  }
  const said = await asRoot(io, root ? [] : ["sudo"], script);
  if (said !== undefined) throw new DroverError("SETUP_MISSING", `${said}\nThis failed:\n  ${command}\n${withoutAll}`);
}

/** What to do by hand where the packages have other names than Debian's. */
export function stepsElsewhere(
  system: string,
  packages: readonly Pick<HostPackage, "brings" | "why">[],
  settings: readonly HostSetting[],
): string {
  const programs = columns(packages.map(({ brings, why }) => [`     ${brings}`, why]));
  const steps = [
    ["With this system's package manager, install what brings:", ...programs],
    ...(settings.length === 0 ? [] : [[`As root, once: sh -c '${rootScript([], settings)}'`]]),
    ["npm start"],
  ];
  return [
    `drover installs its packages by itself on Debian and Ubuntu only, this is ${system}. Here:`,
    ...steps.flatMap(([first, ...more], i) => [`  ${i + 1}. ${first}`, ...more]),
    withoutAll,
  ].join("\n");
}

/** Everything that needs root as one shell script, without a single quote in it. */
export function rootScript(packages: readonly Pick<HostPackage, "name">[], settings: readonly HostSetting[]): string {
  const names = packages.map(({ name }) => name).join(" ");
  // A source that is broken for other reasons is no reason to stop; nor is an update that runs in the background.
  const update = "apt-get update -q || true";
  const install = `apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 ${names}`;
  const installation =
    names === "" ? [] : ["export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1", update, install];
  return ["set -e", ...installation, ...settings.map(({ command }) => command)].join("; ");
}

function isThere({ name, brings }: HostPackage): boolean {
  if (findProgram(brings) !== undefined) return true;
  const { stdout } = spawnSync("dpkg", ["--status", name], { encoding: "utf8" });
  return /^Status: \S+ \S+ installed$/m.test(stdout ?? "");
}

const findProgram = (name: string): string | undefined =>
  isAbsolute(name)
    ? [name].find((path) => existsSync(path))
    : searchPath()
        .split(delimiter)
        .map((folder) => join(folder, name))
        .find((path) => existsSync(path));

async function agrees(io: Terminal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    io.say("There is no terminal to ask on; agree beforehand with: npx drover setup --yes");
    return false;
  }
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await reader.question("Do all of it now, with sudo? [Y/n] ").catch(() => "n");
  reader.close();
  return /^(y|yes|)$/i.test(answer.trim());
}

/**
 * Runs the script and shows how far it is. Answers with its last words on failure. sudo asks on the terminal by itself,
 * but the script gets none: Ubuntu 26.04's sudo runs it in the background of a terminal of its own, and there apt is
 * stopped for good when it resets what it takes for its own terminal.
 * @public Its test runs it in the built program, on a terminal of its own.
 */
export function asRoot(
  io: Pick<Terminal, "live" | "settle">,
  before: readonly string[],
  script: string,
): Promise<string | undefined> {
  const [program = "", ...words] = [...before, "sh", "-c", script];
  return new Promise((resolve) => {
    const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const listen = (text: string) => {
      said = (said + text).slice(-4_000);
      const step = [...text.matchAll(/^(?:Get|Unpacking|Setting up)\b/gm)].at(-1)?.[0];
      if (step !== undefined) io.live([`packages: ${steps[step]}`]);
    };
    child.stdout.setEncoding("utf8").on("data", listen);
    child.stderr.setEncoding("utf8").on("data", listen);
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code) => {
      io.settle();
      resolve(code === 0 ? undefined : said.trim().split("\n").slice(-8).join("\n"));
    });
  });
}

const steps: Record<string, string> = { Get: "downloading", Unpacking: "unpacking", "Setting up": "setting up" };

/** What is said where no setting is known that would let this user have namespaces. */
export const noNamespaces = ({ root }: Pick<HostFacts, "root">): string =>
  root
    ? `no network namespace can be made here, even by root: a container needs to be privileged for that. ${withoutAll}`
    : `no user namespace can be made here: "unshare --user --map-root-user --net true" fails. As root:\n  sudo npm start\n${withoutAll}`;
