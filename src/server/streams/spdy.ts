import { Duplex } from "node:stream";
import {
  controlFrame,
  dataFrame,
  type Frame,
  frameType,
  HeaderCodec,
  readFrames,
  resetCode,
  wordsFrame,
} from "./spdy-frames.ts";

/** Streams that a client may have open on one connection: four for an exec, two for each forwarded connection. */
const streamsMax = 2_000;
/** What a stream may hold that nobody reads yet; beyond it the whole connection waits, as clients keep no windows. */
const unreadBytesMax = 4_194_304;
const chunkBytesMax = 1_048_576;

/** A stream that the client opened. Ending the duplex sends FIN, destroying it resets the stream. */
export type SpdyStream = { id: number; headers: ReadonlyMap<string, string>; duplex: Duplex };

type Entry = { duplex: Duplex; isOpenThere: boolean; isOpenHere: boolean; wake?: () => void };

/**
 * The server's side of one SPDY/3.1 connection over any byte stream. It answers what the client opens and opens
 * nothing itself. Clients of Kubernetes send no WINDOW_UPDATE, so what is sent waits for the transport alone.
 */
export class SpdyConnection {
  /** Settles when the transport is gone; never rejects. */
  readonly closed: Promise<void>;
  readonly #transport: Duplex;
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #headers = new HeaderCodec();
  readonly #entries = new Map<number, Entry>();

  constructor(transport: Duplex, onStream: (stream: SpdyStream) => void) {
    this.#transport = transport;
    this.#onStream = onStream;
    transport.on("error", () => undefined); // Every end is handled where the frames are read.
    this.closed = this.#serve();
  }

  /** Sends what is left and no more; the client's own end is still waited for. */
  end(): void {
    this.#transport.end();
  }

  destroy(): void {
    this.#transport.destroy();
  }

  async #serve(): Promise<void> {
    try {
      for await (const frame of readFrames(this.#transport)) {
        if (frame.is === "data") await this.#receive(frame);
        else await this.#control(frame);
      }
    } catch {
      this.#send(wordsFrame(frameType.goAway, 0, resetCode.protocolError));
    } finally {
      for (const entry of this.#entries.values()) {
        entry.isOpenThere = false;
        entry.isOpenHere = false;
        entry.duplex.destroy();
      }
      this.#headers.close();
      this.#transport.destroy();
    }
  }

  #send(frame: Buffer, done?: (error?: Error | null) => void): void {
    if (this.#transport.writable) this.#transport.write(frame, done);
    else done?.(new Error("the connection is closed"));
  }

  async #control({ type, fin, payload }: Extract<Frame, { is: "control" }>): Promise<void> {
    if (payload.length < 4) return;
    const id = payload.readUInt32BE(0);
    if (type === frameType.synStream) await this.#open(id & 0x7fffffff, payload, fin);
    else if (type === frameType.rstStream) {
      const entry = this.#entries.get(id);
      if (!entry) return;
      entry.isOpenThere = false;
      entry.isOpenHere = false;
      entry.duplex.destroy();
    } else if (type === frameType.ping && id % 2 === 1) this.#send(controlFrame(frameType.ping, payload));
  }

  async #open(id: number, payload: Buffer, fin: boolean): Promise<void> {
    // Read even when the stream is refused: the next block is compressed against this one.
    const headers = await this.#headers.decode(payload.subarray(10));
    if (id % 2 === 0 || this.#entries.has(id) || this.#entries.size >= streamsMax) {
      this.#send(wordsFrame(frameType.rstStream, id, resetCode.refusedStream));
      return;
    }
    const block = await this.#headers.encode(new Map());
    const words = Buffer.alloc(4);
    words.writeUInt32BE(id);
    this.#send(controlFrame(frameType.synReply, Buffer.concat([words, block])));
    const entry = this.#entry(id);
    this.#entries.set(id, entry);
    if (fin) this.#endThere(id, entry);
    this.#onStream({ id, headers, duplex: entry.duplex });
  }

  #entry(id: number): Entry {
    const duplex = new Duplex({
      read: () => {
        entry.wake?.();
      },
      write: (chunk: Buffer, _encoding, done) => this.#write(id, chunk, done),
      final: (done) => {
        entry.isOpenHere = false;
        this.#send(dataFrame(id, Buffer.alloc(0), true), () => done());
        this.#forget(id, entry);
      },
      destroy: (error, done) => {
        if (entry.isOpenHere) this.#send(wordsFrame(frameType.rstStream, id, resetCode.cancel));
        this.#entries.delete(id);
        entry.wake?.();
        done(error);
      },
    });
    duplex.on("error", () => undefined); // Whoever uses the stream sees its end; nobody may crash of it.
    const entry: Entry = { duplex, isOpenThere: true, isOpenHere: true };
    return entry;
  }

  #write(id: number, chunk: Buffer, done: (error?: Error | null) => void): void {
    const rest = chunk.subarray(chunkBytesMax);
    const frame = dataFrame(id, chunk.subarray(0, chunkBytesMax), false);
    this.#send(frame, rest.length === 0 ? done : (error) => (error ? done(error) : this.#write(id, rest, done)));
  }

  async #receive({ streamId, fin, bytes }: Extract<Frame, { is: "data" }>): Promise<void> {
    const entry = this.#entries.get(streamId);
    if (bytes.length > 0) {
      this.#send(wordsFrame(frameType.windowUpdate, 0, bytes.length));
      if (entry?.isOpenThere && !fin) this.#send(wordsFrame(frameType.windowUpdate, streamId, bytes.length));
    }
    if (!entry?.isOpenThere) return;
    if (bytes.length > 0) entry.duplex.push(bytes);
    if (fin) this.#endThere(streamId, entry);
    while (entry.duplex.readableLength > unreadBytesMax && !entry.duplex.destroyed && this.#transport.writable) {
      await new Promise<void>((resolve) => {
        entry.wake = resolve;
      });
    }
  }

  #endThere(id: number, entry: Entry): void {
    entry.isOpenThere = false;
    entry.duplex.push(null);
    this.#forget(id, entry);
  }

  #forget(id: number, entry: Entry): void {
    if (!entry.isOpenHere && !entry.isOpenThere) this.#entries.delete(id);
  }
}
