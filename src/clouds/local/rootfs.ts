import { createHash } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { withLock } from "./lock.ts";
import { debianRelease, explainKeys, findMirror } from "./mirror.ts";
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

/**
 * Where drover keeps what it can build again: `$DROVER_HOME/cache`, by default `~/.drover/cache`. Disks name the files
 * that they are based on, so it is the place where they really are, whatever links lead there.
 */
export function cacheDirectory(): string {
  const path = join(process.env["DROVER_HOME"] ?? join(homedir(), ".drover"), "cache");
  return existsSync(path) ? realpathSync(path) : path;
}

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

/**
 * Root gets the tree as it is. Anybody else has it built in a user namespace and gets all of it as their own, which a
 * program that is started by `asTreeOwner` sees as root's again; so nothing in it may need another owner than root.
 */
async function bootstrap(directory: string, spec: RootfsSpec, watching: Watching): Promise<void> {
  // In a place where the namespace's own users can read it: a home directory may be closed to them.
  const staged = await mkdtemp(join(tmpdir(), "drover-rootfs-"));
  const archive = `${directory}.tar`;
  try {
    await chmod(staged, 0o755);
    await stageFiles(join(staged, "files"), spec.files ?? []);
    await writeFile(join(staged, "customise.sh"), `${spec.customise ?? ":"}\n`);
    if (isRoot()) return await runMmdebstrap(spec, staged, ["root", "directory", directory], watching);
    await runMmdebstrap(spec, staged, ["unshare", "tar", archive], watching);
    await mkdir(directory);
    const o = watching.signal ? { signal: watching.signal } : {};
    await runTool(["tar", "-xpf", archive, "-C", directory, "--no-same-owner", "--exclude=./dev/*"], o);
  } finally {
    await rm(staged, { recursive: true, force: true });
    await rm(archive, { force: true });
  }
}

async function stageFiles(folder: string, files: readonly PlacedFile[]): Promise<void> {
  await mkdir(folder);
  for (const file of files) {
    await mkdir(dirname(join(folder, file.path)), { recursive: true });
    await writeFile(join(folder, file.path), file.content);
    await chmod(join(folder, file.path), file.mode);
  }
}

async function runMmdebstrap(
  spec: RootfsSpec,
  staged: string,
  [mode, format, target]: [mode: string, format: string, target: string],
  { signal, progress }: Watching,
): Promise<void> {
  const mirror = await findMirror(signal);
  const argv = [
    ...["mmdebstrap", `--mode=${mode}`, `--format=${format}`],
    ...[`--variant=${spec.variant}`, `--include=${spec.packages.join(",")}`],
    ...(mirror.keyring === undefined ? [] : [`--keyring=${mirror.keyring}`]),
    ...['--aptopt=Acquire::Languages "none"', ...mirror.aptOptions.map((option) => `--aptopt=${option}`)],
    ...["--dpkgopt=force-unsafe-io", ...unneeded.map((pattern) => `--dpkgopt=path-exclude=${pattern}`)],
    `--customize-hook=cp -R --no-preserve=ownership ${shellWord(`${staged}/files/.`)} "$1"/`,
    `--customize-hook=sh -eu ${shellWord(join(staged, "customise.sh"))} "$1"`,
    `--customize-hook=rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap`,
    ...[debianRelease, target, ...mirror.sources],
  ];
  const onLine = (line: string) => {
    const step = /^I: (?!running --)(.+?)\.*$/.exec(line)?.[1];
    if (step !== undefined) progress?.(`${spec.name}: ${step}`);
  };
  await runTool(argv, { onLine, ...(signal ? { signal } : {}) }).catch((error: unknown) => {
    throw explainKeys(error);
  });
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

async function removeTree(path: string): Promise<void> {
  if (existsSync(path)) await runTool(["rm", "-rf", "--one-file-system", path]);
}

const isRoot = (): boolean => process.getuid?.() === 0;

/** What comes before a command to which everything in a built tree is root's. */
export const asTreeOwner = (): readonly string[] => (isRoot() ? [] : ["unshare", "--user", "--map-root-user", "--"]);
