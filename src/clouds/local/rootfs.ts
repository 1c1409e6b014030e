import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { withLock } from "./lock.ts";
import { debianRelease, findMirror } from "./mirror.ts";
import { runTool } from "./run-tool.ts";

/** A file that is put into a root file system, owned by root. `path` is absolute there. */
export type PlacedFile = { path: string; mode: number; content: string };

export type RootfsSpec = {
  /** Lower-case letters, digits and dashes. */
  name: string;
  packages: readonly string[];
  /** mmdebstrap's own word for how much comes besides `packages`: `apt` adds apt and the essential packages. */
  variant: "apt" | "essential" | "custom" | "extract";
  /** Put in place after the packages, before `customise` runs. */
  files?: readonly PlacedFile[];
  /** A shell script (sh -eu) that ends the build, run outside of the tree; `$1` is its root. */
  customise?: string;
};

/** How a long piece of work is ended and followed. */
export type Watching = { signal?: AbortSignal; progress?: (line: string) => void };

/** Where drover keeps what it can build again: `$DROVER_HOME/cache`, by default `~/.drover/cache`. */
export const cacheDirectory = (): string => join(process.env["DROVER_HOME"] ?? join(homedir(), ".drover"), "cache");

/** The first 16 hexadecimal digits of the SHA-256 of `inputs`. */
export const inputsHash = (inputs: unknown): string =>
  createHash("sha256").update(JSON.stringify(inputs)).digest("hex").slice(0, 16);

/**
 * The directory of a root file system made of Debian packages. It is built once for the same inputs and kept under
 * their hash; a broken or aborted build leaves nothing, and of several callers at once one builds.
 * @throws SETUP_MISSING, CLOUD_UNAVAILABLE (the mirror can't be reached, a package doesn't exist)
 */
export function buildRootfs(spec: RootfsSpec & Watching): Promise<string> {
  const { signal, progress, ...inputs } = spec;
  const hash = inputsHash([layoutVersion, debianRelease, inputs]);
  return buildOnce(join(cacheDirectory(), "rootfs", `${spec.name}-${hash}`), { signal, progress }, (directory) =>
    bootstrap(directory, inputs, { ...(signal ? { signal } : {}), ...(progress ? { progress } : {}) }),
  );
}

/** Goes up when the same inputs give another tree. */
const layoutVersion = 1;

/**
 * `path`, made by `build` in a directory beside it and moved there whole; nothing is done where it exists. `build` gets
 * a path that doesn't exist yet.
 */
export async function buildOnce(
  path: string,
  { signal, progress }: { signal?: AbortSignal | undefined; progress?: ((line: string) => void) | undefined },
  build: (path: string) => Promise<void>,
): Promise<string> {
  if (existsSync(path)) return path;
  await mkdir(dirname(path), { recursive: true });
  await withLock(
    `${path}.lock`,
    { signal, waiting: () => progress?.("waiting for another drover to build it") },
    async () => {
      if (existsSync(path)) return;
      const partial = `${path}.partial`;
      await removeTree(partial);
      try {
        await build(partial);
        await rename(partial, path);
      } catch (error) {
        await removeTree(partial);
        throw error;
      }
    },
  );
  return path;
}

async function bootstrap(directory: string, spec: RootfsSpec, { signal, progress }: Watching): Promise<void> {
  const mirror = await findMirror(signal);
  const staged = `${directory}.files`;
  await rm(staged, { recursive: true, force: true });
  await mkdir(staged, { recursive: true });
  for (const file of spec.files ?? []) {
    await mkdir(dirname(join(staged, file.path)), { recursive: true });
    await writeFile(join(staged, file.path), file.content);
    await chmod(join(staged, file.path), file.mode);
  }
  await writeFile(`${staged}.sh`, `${spec.customise ?? ":"}\n`);
  const argv = [
    ...["mmdebstrap", `--mode=${process.getuid?.() === 0 ? "root" : "unshare"}`, "--format=directory"],
    ...[`--variant=${spec.variant}`, `--include=${spec.packages.join(",")}`],
    ...['--aptopt=Acquire::Languages "none"', ...mirror.aptOptions.map((option) => `--aptopt=${option}`)],
    ...["--dpkgopt=force-unsafe-io", ...unneeded.map((pattern) => `--dpkgopt=path-exclude=${pattern}`)],
    `--customize-hook=cp -R --no-preserve=ownership ${shellWord(`${staged}/.`)} "$1"/`,
    `--customize-hook=sh -eu ${shellWord(`${staged}.sh`)} "$1"`,
    `--customize-hook=rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap`,
    ...[debianRelease, directory, ...mirror.sources],
  ];
  const onLine = (line: string) => {
    const step = /^I: (?!running --)(.+?)\.*$/.exec(line)?.[1];
    if (step !== undefined) progress?.(`${spec.name}: ${step}`);
  };
  try {
    await runTool(argv, { onLine, ...(signal ? { signal } : {}) });
  } finally {
    await rm(staged, { recursive: true, force: true });
    await rm(`${staged}.sh`, { force: true });
  }
}

/** Of no use on a machine that nobody logs in to. */
const unneeded = [
  "/usr/share/man/*",
  "/usr/share/doc/*",
  "/usr/share/info/*",
  "/usr/share/locale/*",
  "/usr/share/i18n/*",
];

/** `text` as one word of a POSIX shell. */
const shellWord = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Trees built without root belong to subordinate user ids, which only mmdebstrap's own helper can remove. */
async function removeTree(path: string): Promise<void> {
  if (!existsSync(path)) return;
  await runTool([...asTreeOwner(), "rm", "-rf", "--one-file-system", path]);
}

/** What comes before a command that must read or write a built tree as its owner. */
export const asTreeOwner = (): readonly string[] =>
  process.getuid?.() === 0 ? [] : ["mmdebstrap", "--unshare-helper"];
