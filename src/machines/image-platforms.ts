import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import type { Architecture } from "../clouds/cloud.ts";

/** Architectures that a container image is made for; undefined: its registry does not tell. */
export type ImagePlatforms = (image: string, signal?: AbortSignal) => Promise<readonly Architecture[] | undefined>;

export type ImagePlatformsOptions = {
  clock: Clock;
  /** Told once for each image why its platforms are not known. */
  tell: (message: string) => void;
  /** Default: the program's own. */
  fetch?: typeof globalThis.fetch;
  /** Docker's file of logins. Default: `~/.docker/config.json`. */
  logins?: string;
};

/** Registries answer within this time or not at all; the machines may reach what this computer does not. */
const answerMs = 4_000;
const believedMs = 600_000;
/** A manifest is at most 4 MiB, says the distribution specification. */
const bytesMax = 4 * 2 ** 20;

const manifestTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

const platform = z.object({ os: z.string().default("linux"), architecture: z.string() });
const manifest = z.object({
  manifests: z.array(z.object({ platform: platform.optional() })).optional(),
  config: z.object({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) }).optional(),
});
const loginFile = z.object({ auths: z.record(z.string(), z.object({ auth: z.string().optional() })).default({}) });

type Reference = { registry: string; repository: string; version: string };

/** Registry, repository and tag or digest; undefined: no name of an image, or one that only the machine knows. */
export function referenceOf(image: string): Reference | undefined {
  const [name = "", digest] = image.split("@");
  const [first = "", ...others] = name.split("/");
  const isHost = others.length > 0 && (/[.:]/.test(first) || first === "localhost");
  const path = isHost ? others.join("/") : name;
  const [, repository = "", tag = "latest"] = /^([a-z0-9._/-]+)(?::([\w.-]+))?$/.exec(path) ?? [];
  if (repository === "" || (isHost && /^(localhost|127\.|\[)/.test(first))) return undefined;
  const registry = isHost && !/^(index\.)?docker\.io$/.test(first) ? first : "registry-1.docker.io";
  const isShort = registry === "registry-1.docker.io" && !repository.includes("/");
  return { registry, repository: isShort ? `library/${repository}` : repository, version: digest ?? tag };
}

const architectures: readonly Architecture[] = ["amd64", "arm64"];

/** Asks the registry of each image, by the user's own login where there is one, and believes the answer for a while. */
export function openImagePlatforms(options: ImagePlatformsOptions): ImagePlatforms {
  const { clock, tell } = options;
  const known = new Map<string, { found: readonly Architecture[] | undefined; atMs: number }>();
  const told = new Set<string>();
  return async (image, signal) => {
    const last = known.get(image);
    if (last && clock.monotonicMs() - last.atMs < believedMs) return last.found;
    let found: readonly Architecture[] | undefined;
    try {
      found = await ask(image, options, signal);
    } catch (error) {
      signal?.throwIfAborted();
      const why = error instanceof Error ? [error.message, causeOf(error)].filter(Boolean).join(": ") : String(error);
      if (!told.has(image)) tell(`What the image ${image} is made for can't be found out (${why}).`);
      told.add(image);
    }
    known.set(image, { found, atMs: clock.monotonicMs() });
    return found;
  };
}

const causeOf = ({ cause }: Error): string => (cause instanceof Error ? cause.message : "");

async function ask(image: string, options: ImagePlatformsOptions, signal?: AbortSignal) {
  const reference = referenceOf(image);
  if (!reference) return undefined;
  const timeout = AbortSignal.timeout(answerMs);
  const get = openGet(reference, options, signal ? AbortSignal.any([signal, timeout]) : timeout);
  const { manifests, config } = manifest.parse(await get(`manifests/${reference.version}`));
  const platforms = manifests?.flatMap((each) => each.platform ?? []);
  const all = platforms ?? (config ? [platform.parse(await get(`blobs/${config.digest}`))] : []);
  const found = architectures.filter((one) =>
    all.some(({ os, architecture }) => os === "linux" && architecture === one),
  );
  // An index without platforms says nothing; other architectures than these are of no use here, which the caller says.
  return all.length > 0 ? found : undefined;
}

/** Reads JSON below a repository; what the registry asks for first is a token of its own. */
function openGet({ registry, repository }: Reference, options: ImagePlatformsOptions, signal: AbortSignal) {
  const { fetch = globalThis.fetch } = options;
  const login = loginOf(registry, options.logins ?? join(homedir(), ".docker", "config.json"));
  let authorization = login;

  async function read(url: string, Accept: string): Promise<Response> {
    const headers = { Accept, ...(authorization !== undefined && { Authorization: authorization }) };
    return fetch(url, { headers, signal });
  }

  return async (path: string): Promise<unknown> => {
    const url = `https://${registry}/v2/${repository}/${path}`;
    let answer = await read(url, manifestTypes);
    const challenge = answer.status === 401 ? answer.headers.get("www-authenticate") : null;
    if (challenge !== null) {
      await answer.body?.cancel();
      authorization = await tokenFor(challenge, repository, { fetch, login, signal });
      answer = await read(url, manifestTypes);
    }
    return body(answer, registry);
  };
}

type TokenWays = { fetch: typeof globalThis.fetch; login: string | undefined; signal: AbortSignal };

async function tokenFor(challenge: string, repository: string, { fetch, login, signal }: TokenWays): Promise<string> {
  const fields = new Map([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", text = ""]) => [key, text]));
  const realm = fields.get("realm") ?? "";
  if (!/^Bearer /i.test(challenge) || !/^https:\/\//.test(realm)) throw new Error("it wants a login that is not known");
  const url = new URL(realm);
  url.searchParams.set("service", fields.get("service") ?? "");
  url.searchParams.set("scope", `repository:${repository}:pull`);
  const answer = await fetch(url, { headers: login === undefined ? {} : { Authorization: login }, signal });
  const given = z
    .object({ token: z.string().optional(), access_token: z.string().optional() })
    .parse(await body(answer, url.host));
  return `Bearer ${given.token ?? given.access_token ?? ""}`;
}

async function body(answer: Response, host: string): Promise<unknown> {
  if (!answer.ok) {
    // What nobody reads would hold its connection.
    await answer.body?.cancel();
    throw new Error(`${host} answers ${answer.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    size += chunk.byteLength;
    if (size > bytesMax) throw new Error(`${host} answers with more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}

/** As `docker login` keeps it; where a helper keeps it instead, the image is asked for without. */
function loginOf(registry: string, file: string): string | undefined {
  const names = registry === "registry-1.docker.io" ? ["https://index.docker.io/v1/", "docker.io"] : [registry];
  try {
    const { auths } = loginFile.parse(JSON.parse(readFileSync(file, "utf8")));
    const auth = names.map((name) => auths[name]?.auth).find((each) => each !== undefined && each !== "");
    return auth === undefined ? undefined : `Basic ${auth}`;
  } catch {
    return undefined;
  }
}
