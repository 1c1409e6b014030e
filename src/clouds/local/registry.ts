import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve, sep } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { run } from "./command.ts";
import { endHolder, type Holder, openHolder } from "./holder-client.ts";
import { parseReference } from "./image-reference.ts";
import { gatewayAddress } from "./network.ts";
import { openTools, type Tools } from "./tools.ts";

const port = 5000;
/** Where machines find the registry: `host:port`. Under it an image has its whole name as its path. */
export const registryMirror = `${gatewayAddress}:${port}`;

const startMs = 15_000;
const copyMs = 300_000;

/** All clusters of a home share the images. */
const storage = (home: string): string => join(home, "registry");

/**
 * Starts the registry in a cluster's namespace when it does not run there, and waits until it answers. Machines may
 * only read: one that could write might put its own image under the name that another Pod asks for.
 */
export const ensureRegistry = (o: RegistryOptions): Promise<void> => startRegistry(o, "readonly");

type RegistryOptions = {
  /** Where the images are. */
  home: string;
  /** The cluster's folder. */
  folder: string;
  holder: Holder;
  tools: Tools;
  clock: Clock;
};

async function startRegistry(o: RegistryOptions, mode: "readonly" | "writable"): Promise<void> {
  const { folder } = o;
  mkdirSync(storage(o.home), { recursive: true, mode: 0o700 });
  const config = join(folder, "registry.yml");
  // JSON is YAML, and leaves nothing to escape.
  const settings = {
    version: "0.1",
    log: { level: "warn", accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: storage(o.home) },
      maintenance: { readonly: { enabled: mode === "readonly" }, uploadpurging: { enabled: false } },
    },
    http: { addr: registryMirror },
  };
  writeFileSync(config, JSON.stringify(settings), { mode: 0o600 });
  const argv = o.tools.command("docker-registry", "serve", config);
  await o.holder.spawn({ id: "registry", argv, restart: argv, logPath: join(folder, "registry.log") });
  const deadlineMs = o.clock.monotonicMs() + startMs;
  for (;;) {
    const stream = await o.holder.dial(gatewayAddress, port).catch((error: Error) => error);
    if (!(stream instanceof Error)) return void stream.destroy();
    if (o.clock.monotonicMs() > deadlineMs) {
      throw new DroverError("CLOUD_UNAVAILABLE", `The machines' registry does not start; see ${folder}/registry.log.`);
    }
    await o.clock.sleep(30);
  }
}

/**
 * Puts an image into the machines' registry: an OCI or docker archive, or a folder in OCI layout. Machines of every
 * cluster of this home find it at once, and nothing of the cluster need run for it.
 * @throws USAGE (the name, the archive), SETUP_MISSING, CLOUD_UNAVAILABLE
 */
export async function loadImage(o: { home: string; archive: string; reference: string; clock: Clock }): Promise<void> {
  const { repository, tag } = parseReference(o.reference);
  const source = await sourceOf(resolve(o.archive));
  const tools = await openTools();
  // A namespace for this copy alone: a registry on the same files, which nobody else can reach.
  const folder = mkdtempSync(join(tmpdir(), "drover-load-"));
  const cluster = "load";
  try {
    const log = { info: () => undefined, warn: () => undefined };
    const holder = await openHolder({ home: folder, cluster, clock: o.clock, log });
    await startRegistry({ home: o.home, folder, holder, tools, clock: o.clock }, "writable");
    const to = `docker://${registryMirror}/${repository}:${tag}`;
    const words = ["--insecure-policy", "--tmpdir", folder, "copy", "--quiet", "--all", "--dest-tls-verify=false"];
    const copied = await holder.run(tools.command("skopeo", ...words, source, to), { timeoutMs: copyMs });
    holder.close();
    if (copied.exitCode === 0) return;
    const said = copied.stderr.trim().split("\n").at(-1) ?? "";
    throw new DroverError("USAGE", `${o.archive} can't be loaded as ${o.reference}: ${said}`);
  } finally {
    await endHolder(folder, cluster);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What skopeo calls the archive. @throws USAGE */
async function sourceOf(path: string): Promise<string> {
  if (!existsSync(path)) throw new DroverError("USAGE", `There is no file ${path}.`);
  if (statSync(path).isDirectory()) {
    if (existsSync(join(path, "oci-layout"))) return `oci:${path}`;
    throw new DroverError("USAGE", `The folder ${path} is not an image in OCI layout.`);
  }
  const { exitCode, stdout } = await run(["tar", "-tf", path], "", 60_000);
  const names = stdout.split("\n").map((name) => name.replace(/^\.\//, ""));
  if (exitCode === 0 && names.includes("oci-layout")) return `oci-archive:${path}`;
  if (exitCode === 0 && names.includes("manifest.json")) return `docker-archive:${path}`;
  throw new DroverError("USAGE", `${path} is neither an OCI archive nor one of \`docker save\`.`);
}

/**
 * What a name stands for in the machines' registry now; undefined where it isn't there, and so comes from elsewhere or
 * nowhere.
 */
export function loadedDigest(home: string, reference: string): string | undefined {
  try {
    const { repository, tag } = parseReference(reference);
    const tags = join(storage(home), "docker/registry/v2/repositories", repository, "_manifests/tags");
    return readFileSync(join(tags, tag, "current/link"), "utf8").trim();
  } catch {
    return undefined;
  }
}

/** The whole names of the images that the machines' registry holds, sorted. */
export async function listImages(o: { home: string }): Promise<string[]> {
  const root = join(storage(o.home), "docker/registry/v2/repositories");
  if (!existsSync(root)) return [];
  const found: string[] = [];
  const walk = (folder: string): void => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (name === "_manifests") {
        const repository = relative(root, folder).split(sep).join("/");
        for (const tag of readdirSync(join(path, "tags"))) found.push(`${repository}:${tag}`);
      } else if (!name.startsWith("_")) walk(path);
    }
  };
  walk(root);
  return found.sort();
}
