import type { IncomingMessage } from "node:http";
import { type Body, parseBody } from "../api/body.ts";
import { decodeProtobuf } from "../api/protobuf.ts";
import { ApiError } from "../api/status.ts";
import type { Call } from "./call.ts";

/** The most bytes that a request may carry, as in Kubernetes. */
const bodyBytesMax = 3_145_728;

const tooLarge = (): ApiError =>
  new ApiError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${bodyBytesMax}`);

const empty = Buffer.alloc(0);

/** The whole body. @throws 413 */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  const length = request.headers["content-length"];
  if (length === "0" || (length === undefined && request.headers["transfer-encoding"] === undefined)) {
    return Promise.resolve(empty);
  }
  if (Number(length ?? 0) > bodyBytesMax) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bodyBytesMax) {
        request.removeAllListeners("data");
        request.resume();
        reject(tooLarge());
      } else {
        chunks.push(chunk);
      }
    });
    request.on("end", () => resolve(chunks.length === 1 ? (chunks[0] ?? empty) : Buffer.concat(chunks)));
    request.on("error", reject);
    request.on("close", () => reject(new Error("the client went away")));
  });
}

/** The body as a value, with what its parser has seen. @throws 400, 413, 415 */
export const bodyOf = async (call: Call, kindName: string): Promise<Body> =>
  bodyFrom(await readBody(call.request), call, kindName);

/** The same of bytes that were read already. `kindName` is for complaints; empty where any object will do. */
export function bodyFrom(bytes: Buffer, call: Call, kindName = ""): Body {
  const type = call.request.headers["content-type"] ?? "application/json";
  if (!type.startsWith("application/vnd.kubernetes.protobuf")) return parseBody(bytes, type, kindName);
  return { value: decodeProtobuf(bytes).value, duplicates: [] };
}
