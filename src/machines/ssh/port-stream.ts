import { Duplex } from "node:stream";
import type { MessagePort } from "node:worker_threads";

type Message = { data: Uint8Array } | { taken: number } | { end: true } | { broken: true };

/** So many bytes may be under way before the reader has taken them. */
const windowBytes = 256 * 1024;

/** A byte stream over a port of another thread, which waits for a slow reader at the other end. */
export function portStream(port: MessagePort): Duplex {
  let under = 0;
  let held: (() => void) | undefined;
  let untaken = 0;
  let otherEnded = false;
  const post = (message: Message) => port.postMessage(message);
  const taken = () => {
    if (untaken > 0) post({ taken: untaken });
    untaken = 0;
  };
  const stream = new Duplex({
    allowHalfOpen: true,
    read: taken,
    write(chunk: Buffer, _encoding, done) {
      under += chunk.byteLength;
      // A copy of its own, moved: a message with a view into a pool would carry the whole pool.
      const data = new Uint8Array(chunk);
      port.postMessage({ data }, [data.buffer]);
      if (under < windowBytes) done();
      else held = done;
    },
    final(done) {
      post({ end: true });
      done();
    },
    destroy(error, done) {
      if (error || !otherEnded) post({ broken: true });
      port.close();
      done(error);
    },
  });
  port.on("message", (message: Message) => {
    if ("data" in message) {
      untaken += message.data.byteLength;
      if (stream.push(Buffer.from(message.data))) taken();
    } else if ("taken" in message) {
      under -= message.taken;
      const resume = under < windowBytes ? held : undefined;
      if (resume) held = undefined;
      resume?.();
    } else if ("end" in message) {
      otherEnded = true;
      stream.push(null);
    } else leave();
  });
  /** The other side is gone: nothing can be written any more, but what has come may still be read. */
  const leave = () => {
    if (!otherEnded || stream.readableEnded) stream.destroy();
    else stream.once("end", () => stream.destroy());
  };
  port.on("close", leave);
  return stream;
}
