import { type Duplex, PassThrough, type Readable, type Writable } from "node:stream";
import { finished } from "node:stream/promises";
import type { WebSocket } from "ws";
import type { Clock } from "../../base/clock.ts";
import { SpdyConnection } from "./spdy.ts";
import { channelWriter, onMessages, writeTo } from "./websocket.ts";

/** Which streams the client asked for. */
export type Streams = { stdin: boolean; stdout: boolean; stderr: boolean; resize: boolean };

/** The client's side of a command, however it is connected. Streams it did not ask for are absent. */
export type Channels = {
  stdin?: Readable;
  stdout?: Writable;
  stderr?: Writable;
  /** One or more JSON objects with `Width` and `Height` in cells. */
  resize?: Readable;
  /** Aborts when the client is gone. */
  gone: AbortSignal;
  /** Sends the result, a Status in JSON, and closes. */
  finish(status: string): void;
};

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
/** What a command may leave unread before its client has to wait, and with it the client's pings. */
const unreadBytesMax = 1_048_576;
/** How long a client may go on sending to a command that has ended. */
const lingerMs = 5_000;

/** Messages whose first byte is the channel. */
export function webSocketChannels(webSocket: WebSocket, wanted: Streams): Channels {
  const [stdin, resize] = [new PassThrough({ highWaterMark: unreadBytesMax }), new PassThrough()];
  const gone = new AbortController();
  onMessages(webSocket, (message) => {
    const payload = message.subarray(1);
    switch (message[0]) {
      case channel.stdin:
        return writeTo(stdin, payload);
      case channel.resize:
        return writeTo(resize, payload);
      case channel.close:
        if (payload[0] === channel.stdin) stdin.end();
    }
    return undefined;
  });
  webSocket.on("close", () => {
    gone.abort();
    stdin.destroy();
    resize.destroy();
  });
  return {
    ...(wanted.stdin && { stdin }),
    ...(wanted.stdout && { stdout: channelWriter(webSocket, channel.stdout) }),
    ...(wanted.stderr && { stderr: channelWriter(webSocket, channel.stderr) }),
    ...(wanted.resize && { resize }),
    gone: gone.signal,
    finish: (status) => webSocket.send(Buffer.from(`\x03${status}`), () => webSocket.close(1000)),
  };
}

/**
 * A SPDY stream for each, named by its header `streamtype`. Resolves when the client has opened all of them, or to
 * undefined, with the connection closed, when it does not within `timeoutMs`.
 */
export async function spdyChannels(
  socket: Duplex,
  wanted: Streams,
  timeoutMs: number,
  clock: Clock,
): Promise<Channels | undefined> {
  const names = ["error", ...Object.entries(wanted).flatMap(([name, isWanted]) => (isWanted ? [name] : []))];
  const found = new Map<string, Duplex>();
  const complete = new AbortController();
  const connection = new SpdyConnection(socket, ({ headers, duplex }) => {
    found.set(headers.get("streamtype") ?? "", duplex);
    if (names.every((name) => found.has(name))) complete.abort();
  });
  await Promise.race([connection.closed, clock.sleep(timeoutMs, complete.signal).catch(() => undefined)]);
  const error = found.get("error");
  if (!complete.signal.aborted || !error) {
    complete.abort();
    connection.destroy();
    return undefined;
  }
  const gone = new AbortController();
  void connection.closed.then(() => gone.abort());
  const stream = (name: keyof Streams) => (wanted[name] ? found.get(name) : undefined);
  const [stdin, stdout, stderr, resize] = [stream("stdin"), stream("stdout"), stream("stderr"), stream("resize")];
  return {
    ...(stdin && { stdin }),
    ...(stdout && { stdout }),
    ...(stderr && { stderr }),
    ...(resize && { resize }),
    gone: gone.signal,
    finish(status) {
      void finishStreams([...found.values()], error, status).then(() => {
        connection.end();
        return clock.sleep(lingerMs, gone.signal).then(
          () => connection.destroy(),
          () => undefined,
        );
      });
    },
  };
}

/** What still comes is read and dropped: closing with unread bytes would reset the connection. */
async function finishStreams(streams: readonly Duplex[], error: Duplex, status: string): Promise<void> {
  await Promise.allSettled(
    streams.map((stream) => {
      stream.resume();
      stream.end(stream === error ? status : undefined);
      return finished(stream, { readable: false });
    }),
  );
}
