import type { Readable } from "node:stream";
import { constants, createDeflate, createInflate, type Zlib } from "node:zlib";
import { spdyDictionary } from "./spdy-dictionary.ts";

/** Control frames of SPDY/3.1 that matter between a Kubernetes client and its server. */
export const frameType = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goAway: 7, windowUpdate: 9 } as const;
/** Status codes of RST_STREAM. */
export const resetCode = { protocolError: 1, refusedStream: 3, cancel: 5 } as const;
/** The flag that ends the sender's half of a stream. */
const fin = 1;

/** Headers of a stream are a few short texts; a block that grows beyond this is an attack. */
const headerBytesMax = 65_536;

export type Frame =
  | { is: "control"; type: number; fin: boolean; payload: Buffer }
  /** A piece of a data frame; `fin` comes with its last piece. */
  | { is: "data"; streamId: number; fin: boolean; bytes: Buffer };

/** A peer that breaks the protocol. */
class SpdyProtocolError extends Error {
  override readonly name = "SpdyProtocolError";
}

/** Frames as they arrive. Data is handed on piece by piece, whatever length its frame has. */
export async function* readFrames(transport: Readable): AsyncGenerator<Frame> {
  let buffered: Buffer = Buffer.alloc(0);
  let data: { streamId: number; fin: boolean; leftBytes: number } | undefined;
  // The one who reads the frames may still have a last word to send when one of them is wrong.
  for await (const chunk of transport.iterator({ destroyOnReturn: false })) {
    const arrived: Buffer = chunk;
    buffered = buffered.length === 0 ? arrived : Buffer.concat([buffered, arrived]);
    for (;;) {
      if (data) {
        const bytes = buffered.subarray(0, data.leftBytes);
        buffered = buffered.subarray(bytes.length);
        data.leftBytes -= bytes.length;
        const isLast = data.leftBytes === 0;
        if (bytes.length > 0 || isLast) yield { is: "data", streamId: data.streamId, fin: isLast && data.fin, bytes };
        if (!isLast) break;
        data = undefined;
      }
      if (buffered.length < 8) break;
      const lengthBytes = buffered.readUIntBE(5, 3);
      const hasFin = ((buffered[4] ?? 0) & fin) !== 0;
      const first = buffered.readUInt32BE(0);
      if (first < 0x80000000) {
        data = { streamId: first, fin: hasFin, leftBytes: lengthBytes };
        buffered = buffered.subarray(8);
        continue;
      }
      if (lengthBytes > headerBytesMax) throw new SpdyProtocolError("a control frame is too long");
      if (buffered.length < 8 + lengthBytes) break;
      const payload = buffered.subarray(8, 8 + lengthBytes);
      buffered = buffered.subarray(8 + lengthBytes);
      yield { is: "control", type: first & 0xffff, fin: hasFin, payload };
    }
  }
}

/** A control frame of version 3. */
export function controlFrame(type: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(0x80030000 + type, 0);
  header.writeUIntBE(payload.length, 5, 3);
  return Buffer.concat([header, payload]);
}

/** A control frame of 32-bit words. */
export function wordsFrame(type: number, ...words: number[]): Buffer {
  const payload = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) payload.writeUInt32BE(word, index * 4);
  return controlFrame(type, payload);
}

/** A data frame of less than 16 MiB. */
export function dataFrame(streamId: number, bytes: Uint8Array, isLast: boolean): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(streamId, 0);
  header[4] = isLast ? fin : 0;
  header.writeUIntBE(bytes.length, 5, 3);
  return Buffer.concat([header, bytes]);
}

/** The headers of one connection: one zlib stream a direction, kept open over all frames. */
export class HeaderCodec {
  readonly #inflate = createInflate({ dictionary: spdyDictionary });
  readonly #deflate = createDeflate({ dictionary: spdyDictionary });

  /** @throws SpdyProtocolError */
  async decode(block: Uint8Array): Promise<Map<string, string>> {
    const plain = await through(this.#inflate, block);
    const headers = new Map<string, string>();
    let at = 0;
    const word = (): number => {
      if (at + 4 > plain.length) throw new SpdyProtocolError("a header block ends too early");
      at += 4;
      return plain.readUInt32BE(at - 4);
    };
    const text = (): string => {
      const lengthBytes = word();
      if (at + lengthBytes > plain.length) throw new SpdyProtocolError("a header block ends too early");
      at += lengthBytes;
      return plain.toString("utf8", at - lengthBytes, at);
    };
    for (let left = word(); left > 0; left--) headers.set(text(), text());
    return headers;
  }

  async encode(headers: ReadonlyMap<string, string>): Promise<Buffer> {
    const parts: Buffer[] = [];
    const word = (value: number) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      parts.push(bytes);
    };
    word(headers.size);
    for (const text of [...headers].flat()) {
      word(Buffer.byteLength(text));
      parts.push(Buffer.from(text));
    }
    return await through(this.#deflate, Buffer.concat(parts));
  }

  close(): void {
    this.#inflate.close();
    this.#deflate.close();
  }
}

/** Puts a block through and takes all that comes out for it, without ending the zlib stream. */
function through(zlib: Zlib & NodeJS.ReadWriteStream, block: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    const collect = (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > headerBytesMax) fail();
      else chunks.push(chunk);
    };
    const fail = () => {
      stop();
      reject(new SpdyProtocolError("a header block can't be read"));
    };
    const stop = () => {
      zlib.off("data", collect);
      zlib.off("error", fail);
    };
    zlib.on("data", collect);
    zlib.on("error", fail);
    zlib.write(block);
    zlib.flush(constants.Z_SYNC_FLUSH, () => {
      stop();
      resolve(Buffer.concat(chunks));
    });
  });
}
