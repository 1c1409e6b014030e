import { mkdir, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Document, isMap, isSeq, parseDocument, YAMLSeq } from "yaml";
import type { Clock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import { type Identity, readIfThere, writeWhole } from "./identity.ts";

/** How a client reaches this server: `server` is `https://127.0.0.1:6443`, `name` that of cluster, user and context. */
export type Access = { name: string; server: string; identity: Identity };

const base64 = (text: string): string => Buffer.from(text).toString("base64");

function entries({ name, server, identity }: Access) {
  const user = {
    "client-certificate-data": base64(identity.admin.certificate),
    "client-key-data": base64(identity.admin.key),
  };
  return {
    clusters: { name, cluster: { "certificate-authority-data": base64(identity.authority), server } },
    users: { name, user },
    contexts: { name, context: { cluster: name, user: name } },
  };
}

/** A kubeconfig of its own, as JSON-compatible YAML. */
export function kubeconfigText(access: Access): string {
  const { clusters, users, contexts } = entries(access);
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [clusters],
    users: [users],
    contexts: [contexts],
    "current-context": access.name,
    preferences: {},
  };
  return new Document(config).toString();
}

/**
 * `text` with the named cluster, user and context added or replaced and made current; everything else in it, comments
 * included, stays. `text` may be empty. @throws USAGE when it is no kubeconfig
 */
export function mergeKubeconfig(text: string, access: Access): string {
  if (text.trim() === "") return kubeconfigText(access);
  const document = parseDocument(text);
  if (document.errors.length > 0 || !isMap(document.contents)) {
    throw new DroverError("USAGE", `the kubeconfig can't be read: ${document.errors[0]?.message ?? "it is no map"}`);
  }
  for (const [section, entry] of Object.entries(entries(access))) {
    if (!isSeq(document.get(section))) document.set(section, new YAMLSeq());
    const list = document.get(section);
    if (!isSeq(list)) continue;
    const at = list.items.findIndex((item) => isMap(item) && item.get("name") === access.name);
    if (at >= 0) list.set(at, document.createNode(entry));
    else list.add(document.createNode(entry));
    list.flow = false;
  }
  document.set("current-context", access.name);
  return document.toString();
}

/**
 * Merges into the file at `path`, holding kubectl's own lock on it.
 * @throws USAGE when the lock stays taken for 10 s, or the file can't be written
 */
export const mergeKubeconfigFile = (path: string, access: Access, clock: Clock): Promise<void> =>
  writing(path, async () => {
    const lock = `${path}.lock`;
    await takeLock(lock, clock);
    try {
      await writeWhole(path, mergeKubeconfig((await readIfThere(path)) ?? "", access));
    } finally {
      await rm(lock, { force: true });
    }
  });

/** Writes a kubeconfig of its own to `path`. @throws USAGE when the file can't be written */
export const writeKubeconfigFile = (path: string, access: Access): Promise<void> =>
  writing(path, () => writeWhole(path, kubeconfigText(access)));

async function writing(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await write();
  } catch (error) {
    if (error instanceof DroverError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new DroverError("USAGE", `${path} can't be written (${why}); --kubeconfig names another file`, {}, error);
  }
}

async function takeLock(lock: string, clock: Clock): Promise<void> {
  const untilMs = clock.monotonicMs() + 10_000;
  for (;;) {
    try {
      const handle = await open(lock, "wx", 0o600);
      return await handle.close();
    } catch (error) {
      const taken = error instanceof Error && "code" in error && error.code === "EEXIST";
      if (!taken) throw error;
      if (clock.monotonicMs() > untilMs) {
        throw new DroverError("USAGE", `${lock} is there for 10 s; remove it if no kubectl is running`, {}, error);
      }
      await clock.sleep(100);
    }
  }
}
