import type { Duplex } from "node:stream";
import { inflateSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import type { SpdyStream } from "../../../src/server/streams/spdy.ts";
import { spdyDictionary } from "../../../src/server/streams/spdy-dictionary.ts";
import { controlFrame, frameType, HeaderCodec, wordsFrame } from "../../../src/server/streams/spdy-frames.ts";
import { type SpdyPeer, spdyPair } from "./spdy-peer.ts";

let peer: SpdyPeer | undefined;
afterEach(() => peer?.close());

const types = ({ control }: SpdyPeer) => control.map(({ type }) => type);
const pair = async (onStream: (stream: SpdyStream) => void = () => undefined) => {
  const made = await spdyPair(onStream);
  peer = made;
  return made;
};

/** The checksum by which zlib names a dictionary. */
function adler32(bytes: Uint8Array): number {
  let [low, high] = [1, 0];
  for (const byte of bytes) {
    low = (low + byte) % 65_521;
    high = (high + low) % 65_521;
  }
  return high * 65_536 + low;
}

test("the dictionary is the one that everybody has", () => {
  expect([spdyDictionary.length, adler32(spdyDictionary)]).toEqual([1423, 0xe3c6a7c2]);
});

test("header blocks share one zlib stream over all frames", async () => {
  const [here, there] = [new HeaderCodec(), new HeaderCodec()];
  for (const name of ["stdin", "stdout", "grüße"]) {
    const headers = new Map([
      ["streamtype", name],
      ["requestid", "7"],
    ]);
    expect(await there.decode(await here.encode(headers))).toEqual(headers);
  }
  await expect(there.decode(Buffer.from("nonsense"))).rejects.toThrow("can't be read");
  here.close();
});

test("an opened stream is answered, carries bytes both ways and closes by halves", async () => {
  const seen: [string | undefined, Duplex][] = [];
  const made = await pair(({ headers, duplex }) => {
    seen.push([headers.get("streamtype"), duplex]);
    duplex.pipe(duplex);
  });
  await made.open(1, { streamtype: "data" });
  made.send(1, "hello ");
  made.send(1, "world", true);
  await expect.poll(() => made.data.get(1)).toBe("hello world");
  await expect.poll(() => made.ended.has(1)).toBe(true);
  expect(seen[0]?.[0]).toBe("data");
  const [reply] = made.control.filter(({ type }) => type === frameType.synReply);
  expect(
    inflateSync(reply?.payload.subarray(4) ?? Buffer.alloc(0), { dictionary: spdyDictionary, finishFlush: 2 }),
  ).toEqual(Buffer.alloc(4));
  expect(types(made)).toContain(frameType.windowUpdate);
  await expect.poll(() => seen[0]?.[1].destroyed).toBe(true);
});

test("pings of the client come back", async () => {
  const made = await pair();
  made.socket.write(wordsFrame(frameType.ping, 5));
  await expect
    .poll(() => made.control.map(({ type, payload }) => [type, payload.readUInt32BE()]))
    .toEqual([[frameType.ping, 5]]);
});

test("resets go both ways", async () => {
  const streams: Duplex[] = [];
  const made = await pair(({ duplex }) => streams.push(duplex));
  await made.open(1, { streamtype: "a" });
  await made.open(3, { streamtype: "b" });
  await expect.poll(() => streams.length).toBe(2);
  made.socket.write(wordsFrame(frameType.rstStream, 1, 5));
  await expect.poll(() => streams[0]?.destroyed).toBe(true);
  streams[1]?.destroy();
  await expect.poll(() => types(made)).toContain(frameType.rstStream);
  expect(made.control.find(({ type }) => type === frameType.rstStream)?.payload.readUInt32BE()).toBe(3);
});

test("a stream id that is taken or the server's own is refused", async () => {
  const made = await pair();
  await made.open(1, {});
  await made.open(1, {});
  await made.open(2, {});
  await expect.poll(() => types(made).filter((type) => type === frameType.rstStream)).toHaveLength(2);
});

test.for([
  ["a header block that is no zlib", controlFrame(frameType.synStream, Buffer.alloc(30, 1))],
  ["a control frame without end", Buffer.from([0x80, 3, 0, 1, 0, 255, 255, 255])],
] as const)("%s ends the connection", async ([_name, bytes]) => {
  const made = await pair();
  made.socket.write(bytes);
  await made.server.closed;
  await expect.poll(() => types(made)).toEqual([frameType.goAway]);
});

test("a stream that nobody reads makes its client wait, not the memory grow", async () => {
  const streams: Duplex[] = [];
  const made = await pair(({ duplex }) => streams.push(duplex));
  await made.open(1, {});
  const chunk = Buffer.alloc(1_000_000);
  for (let sent = 0; sent < 40; sent++) made.send(1, chunk);
  await expect.poll(() => streams[0]?.readableLength ?? 0).toBeGreaterThan(4_000_000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(streams[0]?.readableLength).toBeLessThan(6_000_000);
  let received = 0;
  streams[0]?.on("data", ({ length }) => {
    received += length;
  });
  await expect.poll(() => received, { timeout: 5_000 }).toBe(40_000_000);
});

test("a connection that breaks closes every stream", async () => {
  const streams: Duplex[] = [];
  const made = await pair(({ duplex }) => streams.push(duplex));
  await made.open(1, {});
  await expect.poll(() => streams.length).toBe(1);
  made.close();
  await made.server.closed;
  expect(streams[0]?.destroyed).toBe(true);
});
