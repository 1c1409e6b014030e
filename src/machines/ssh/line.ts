import type { Duplex } from "node:stream";
import { DroverError } from "../../base/errors.ts";

const lineBytesMax = 64 * 1024;

/** A connection that failed or ended; it may or may not have carried what was sent. */
export const lost = (message: string, cause?: unknown): DroverError =>
  new DroverError("BOX_UNREACHABLE", message, {}, cause);

/** The first line of a stream, which keeps all that follows it. @throws BOX_UNREACHABLE when it ends before */
export async function readLine(stream: Duplex): Promise<string> {
  let seen = Buffer.alloc(0);
  for (;;) {
    const chunk: Buffer | null = stream.read();
    if (!chunk) {
      if (stream.readableEnded || stream.destroyed) throw lost("The connection was closed before an answer came.");
      await readable(stream);
      continue;
    }
    seen = Buffer.concat([seen, chunk]);
    const stop = seen.indexOf("\n");
    if (stop < 0 && seen.byteLength > lineBytesMax) throw lost("The answer is no line of text.");
    if (stop < 0) continue;
    if (stop + 1 < seen.byteLength) stream.unshift(seen.subarray(stop + 1));
    return seen.subarray(0, stop).toString();
  }
}

const readable = (stream: Duplex): Promise<void> =>
  new Promise((resolve, reject) => {
    const wake = () => done();
    const done = (error?: Error) => {
      for (const event of ["readable", "end", "close"]) stream.off(event, wake);
      stream.off("error", done);
      if (!error) resolve();
      else reject(error instanceof DroverError ? error : lost(`The connection failed: ${error.message}.`, error));
    };
    for (const event of ["readable", "end", "close"]) stream.once(event, wake);
    stream.once("error", done);
  });
