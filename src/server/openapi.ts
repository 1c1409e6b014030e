import { createHash } from "node:crypto";
import type { Kind } from "../api/kinds.ts";
import { version } from "./discovery.ts";
import { pathsOf, typesOfPaths } from "./openapi-paths.ts";
import { schemasOf } from "./openapi-schemas.ts";
import { swaggerFrom } from "./openapi-v2.ts";

/** JSON text and the SHA-512 of it in upper-case hex, which is the document's name in URLs and ETags. */
type OpenapiDocument = { body: Buffer; hash: string };

export type Openapi = {
  /** The answer to `GET /openapi/v3`. */
  index(): { paths: Record<string, { serverRelativeURL: string }> };
  /** `path` as the index names it: `api/v1`, `apis/apps/v1`. */
  document(path: string): OpenapiDocument | undefined;
  /** The answers to `GET /openapi/v2`: what old clients must be told to go on to version 3, and the whole document. */
  v2(): { protobuf: Buffer; json(): Buffer };
};

const info = { title: "Kubernetes", version: version.gitVersion };

/** OpenAPI of the kinds that are served. Documents are made when first asked for; other kinds need another one. */
export function openapi(kinds: readonly Kind[]): Openapi {
  const groups = new Map<string, Kind[]>();
  for (const kind of kinds) {
    const path = kind.group === "" ? `api/${kind.version}` : `apis/${kind.group}/${kind.version}`;
    groups.set(path, [...(groups.get(path) ?? []), kind]);
  }
  const groupVersions = [...groups.values()].flatMap(([kind]): [string, string][] =>
    kind ? [[kind.group, kind.version]] : [],
  );
  const made = new Map<string, OpenapiDocument>();
  const document = (path: string): OpenapiDocument | undefined => {
    const served = groups.get(path);
    const known = made.get(path);
    if (known || !served) return known;
    const schemas = schemasOf(typesOfPaths(served), groupVersions);
    const body = jsonOf({ openapi: "3.0.0", info, paths: pathsOf(served), components: { schemas } });
    const fresh = { body, hash: createHash("sha512").update(body).digest("hex").toUpperCase() };
    made.set(path, fresh);
    return fresh;
  };
  let swagger: Buffer | undefined;
  const json = () => {
    swagger ??= jsonOf(swaggerFrom(info, pathsOf(kinds), schemasOf(typesOfPaths(kinds), groupVersions)));
    return swagger;
  };
  return {
    index: () => ({
      paths: Object.fromEntries(
        [...groups.keys()].sort().map((path) => {
          return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${document(path)?.hash}` }];
        }),
      ),
    }),
    document,
    v2: () => ({ protobuf, json }),
  };
}

const jsonOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const field = (number: number, content: Uint8Array): Buffer =>
  Buffer.concat([Uint8Array.of(number * 8 + 2, content.length), content]);
const title = [field(1, Buffer.from(info.title)), field(2, Buffer.from(info.version))];

/** A document without paths or definitions: kubectl 1.27 and 1.28 insist on one before they ask for version 3. */
const protobuf = Buffer.concat([
  field(1, Buffer.from("2.0")),
  field(2, Buffer.concat(title)),
  field(8, Buffer.alloc(0)),
  field(9, Buffer.alloc(0)),
]);
