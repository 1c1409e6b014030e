import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";
import { SpdyConnection, type SpdyStream } from "../../../src/server/streams/spdy.ts";
import {
  controlFrame,
  dataFrame,
  type Frame,
  frameType,
  HeaderCodec,
  readFrames,
} from "../../../src/server/streams/spdy-frames.ts";

/** The client's end of a SPDY connection over a loopback socket, written frame by frame. */
export type SpdyPeer = {
  socket: Socket;
  /** Frames that the server sent, data as text by stream. */
  control: Extract<Frame, { is: "control" }>[];
  data: Map<number, string>;
  ended: Set<number>;
  open(id: number, headers: Record<string, string>): Promise<void>;
  send(id: number, bytes: Uint8Array | string, isLast?: boolean): void;
  close(): void;
};

export async function speakSpdy(socket: Socket): Promise<SpdyPeer> {
  const codec = new HeaderCodec();
  const peer: SpdyPeer = {
    socket,
    control: [],
    data: new Map(),
    ended: new Set(),
    async open(id, headers) {
      const fixed = Buffer.alloc(10);
      fixed.writeUInt32BE(id);
      const block = await codec.encode(new Map(Object.entries(headers)));
      socket.write(controlFrame(frameType.synStream, Buffer.concat([fixed, block])));
    },
    send: (id, bytes, isLast = false) => socket.write(dataFrame(id, Buffer.from(bytes), isLast)),
    close: () => socket.destroy(),
  };
  const read = async () => {
    for await (const frame of readFrames(socket)) {
      if (frame.is === "control") {
        peer.control.push(frame);
        continue;
      }
      peer.data.set(frame.streamId, (peer.data.get(frame.streamId) ?? "") + frame.bytes.toString("latin1"));
      if (frame.fin) peer.ended.add(frame.streamId);
    }
  };
  void read().catch(() => undefined);
  return peer;
}

/** A server that does nothing but SPDY, and one client of it. */
export async function spdyPair(onStream: (stream: SpdyStream) => void): Promise<SpdyPeer & { server: SpdyConnection }> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const accepted = new Promise<Socket>((resolve) => listener.once("connection", resolve));
  const socket = connect((listener.address() as AddressInfo).port, "127.0.0.1");
  const server = new SpdyConnection(await accepted, onStream);
  listener.close();
  return { ...(await speakSpdy(socket)), server };
}
