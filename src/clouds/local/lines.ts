import type { Readable } from "node:stream";

/** Calls `each` for every line of a stream, without its end. A line of more than `lineBytesMax` ends the stream. */
export function readLines(stream: Readable, each: (line: string) => void, lineBytesMax = 4 << 20): void {
  let rest: Buffer = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, start)) {
      each(rest.toString("utf8", start, end));
      start = end + 1;
    }
    rest = rest.subarray(start);
    if (rest.length > lineBytesMax) stream.destroy(new Error(`a line is longer than ${lineBytesMax} bytes`));
  });
}

/** The first line of a stream; what follows it stays in the stream. Rejects when the stream ends before. */
export function firstLine(stream: Readable, lineBytesMax: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen: Buffer = Buffer.alloc(0);
    const stop = (error: Error) => {
      forget();
      reject(error);
    };
    const ended = () => stop(new Error("closed before the first line"));
    const readable = () => {
      for (let chunk: Buffer | null = stream.read(); chunk !== null; chunk = stream.read()) {
        seen = Buffer.concat([seen, chunk]);
        const end = seen.indexOf(10);
        if (end >= 0) {
          forget();
          if (end + 1 < seen.length) stream.unshift(seen.subarray(end + 1));
          return resolve(seen.toString("utf8", 0, end));
        }
        if (seen.length > lineBytesMax) return stop(new Error(`the first line is longer than ${lineBytesMax} bytes`));
      }
    };
    const forget = () => {
      stream.off("readable", readable);
      stream.off("end", ended);
      stream.off("close", ended);
      stream.off("error", stop);
    };
    stream.on("readable", readable);
    stream.on("end", ended);
    stream.on("close", ended);
    stream.on("error", stop);
  });
}
