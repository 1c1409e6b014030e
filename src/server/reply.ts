import { createHash } from "node:crypto";
import type { OutgoingHttpHeaders } from "node:http";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import { stringify } from "yaml";
import type { Call } from "./call.ts";
import { flag } from "./query.ts";

const compress = promisify(gzip);

/** Shorter answers are sent as they are. */
const gzipFromBytes = 131_072;
/** Warnings beyond this are cut, as every header of an answer together must stay small. */
const warningBytesMax = 4_096;

/** Sends an answer whole. */
export const sendBytes = (call: Call, code: number, bytes: Uint8Array | string, type: string): Promise<void> =>
  sendAnswer(call, code, { "content-type": type, "cache-control": "no-cache, private" }, bytes);

/** The same with headers of its own, named in lower case. */
export async function sendAnswer(
  call: Call,
  code: number,
  given: OutgoingHttpHeaders,
  bytes: Uint8Array | string,
): Promise<void> {
  const { response } = call;
  if (response.destroyed || response.headersSent) return;
  const headers = { ...given, ...warningHeader(call.warnings) };
  let body = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
  if (body.length > gzipFromBytes && wantsGzip(call)) {
    body = await compress(body, { level: constants.Z_BEST_SPEED });
    headers["content-encoding"] = "gzip";
    headers["vary"] = [headers["vary"], "Accept-Encoding"].filter((each) => each !== undefined).join(", ");
  }
  if (code !== 304) headers["content-length"] = body.length;
  response.writeHead(code, headers);
  response.end(body);
}

/** Sends a value as JSON, indented where a person asks, or as YAML. */
export async function sendValue(call: Call, code: number, value: unknown, options: Rendering = {}): Promise<void> {
  if (options.yaml) return await sendBytes(call, code, stringify(value), "application/yaml");
  const pretty = call.query.has("pretty") && flag(call.query, "pretty");
  const text = `${JSON.stringify(value, null, pretty ? 2 : 0)}\n`;
  await sendBytes(call, code, text, options.type ?? "application/json");
}

/** How a value becomes bytes. `type` is that of its JSON form. */
export type Rendering = { yaml?: boolean; type?: string };

/** Sends a document that clients keep, with an ETag of its content; 304 when they have it. */
export async function sendCached(call: Call, bytes: Uint8Array, type: string, control = "public"): Promise<void> {
  const tag = `"${createHash("sha512").update(bytes).digest("hex").toUpperCase()}"`;
  const { response, request } = call;
  response.setHeader("ETag", tag);
  response.setHeader("Vary", "Accept");
  if (request.headers["if-none-match"] === tag) {
    response.writeHead(304, { "Cache-Control": control });
    response.end();
    return;
  }
  await sendBytes(call, 200, bytes, type);
}

export const sendText = (call: Call, code: number, text: string): Promise<void> =>
  sendBytes(call, code, text, "text/plain; charset=utf-8");

/** Compression costs more than it saves where the bytes never leave the computer. */
function wantsGzip({ request }: Call): boolean {
  const encodings = request.headers["accept-encoding"];
  const from = request.socket.remoteAddress ?? "";
  const near = from.startsWith("127.") || from === "::1" || from.startsWith("::ffff:127.");
  return typeof encodings === "string" && /\bgzip\b/.test(encodings) && !near;
}

function warningHeader(warnings: readonly string[]): OutgoingHttpHeaders {
  if (warnings.length === 0) return {};
  let bytes = 0;
  const values = [...new Set(warnings)].map(
    (text) => `299 - "${headerText(text).replace(/[\\"]/g, (character) => `\\${character}`)}"`,
  );
  const kept = values.filter((value) => {
    bytes += value.length;
    return bytes <= warningBytesMax;
  });
  return { Warning: kept };
}

/** What a header may carry: no control characters, nothing beyond Latin-1. */
const headerText = (text: string): string => text.replace(/[^\x20-\x7e]/g, " ");
