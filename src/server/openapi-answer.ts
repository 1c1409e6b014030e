import type { Openapi } from "./openapi.ts";

/** What to answer to a GET; `headers` by their names in lower case. */
export type OpenapiAnswer = { status: number; headers: Record<string, string>; body: Buffer };

const older = "/openapi/v2";
const root = "/openapi/v3";
/** The name that kubectl's decoder knows; the one that it asks for has an `@`, which it then cannot read. */
const protobufType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const nothing = Buffer.alloc(0);

type Asked = { path: string; hash?: string | undefined; accept?: string | undefined; ifNoneMatch?: string | undefined };

/** The answer to a GET below `/openapi`, or undefined where nothing is. `hash`: the query parameter of that name. */
export function openapiAnswer(documents: Openapi, asked: Asked): OpenapiAnswer | undefined {
  if (asked.path === older) return olderAnswer(documents, asked.accept ?? "");
  if (asked.path === root || asked.path === `${root}/`) {
    const headers = { "content-type": "application/json", "cache-control": "no-cache, private" };
    return { status: 200, headers, body: Buffer.from(JSON.stringify(documents.index())) };
  }
  if (!asked.path.startsWith(`${root}/`)) return undefined;
  const name = asked.path.slice(root.length + 1);
  const document = documents.document(name);
  if (!document) return undefined;
  if (asked.hash !== undefined && asked.hash !== document.hash) {
    return { status: 301, headers: { location: `${root}/${name}?hash=${document.hash}` }, body: nothing };
  }
  const etag = `"${document.hash}"`;
  const caching = asked.hash === undefined ? "no-cache, private" : "public, immutable";
  const headers = { etag, "cache-control": caching, vary: "Accept" };
  if (asked.ifNoneMatch === etag) return { status: 304, headers, body: nothing };
  return { status: 200, headers: { ...headers, "content-type": "application/json" }, body: document.body };
}

function olderAnswer(documents: Openapi, accept: string): OpenapiAnswer {
  const { protobuf, json } = documents.v2();
  const wantsProtobuf = accept.includes("proto-openapi.spec.v2");
  const type = wantsProtobuf ? protobufType : "application/json";
  return { status: 200, headers: { "content-type": type, vary: "Accept" }, body: wantsProtobuf ? protobuf : json() };
}
