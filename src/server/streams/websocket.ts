import type { IncomingMessage } from "node:http";
import { type Duplex, Writable } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";

/** Clients send a copy buffer's worth at once, 32 KiB; more than this is no client of ours. */
const messageBytesMax = 4_194_304;

/**
 * Shakes hands and answers with `protocol`, which need not be a word that HTTP allows there: the one for port-forward
 * has a slash. Resolves to undefined when the handshake failed; the client has its answer then.
 */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: string,
): Promise<WebSocket | undefined> {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: messageBytesMax });
  delete request.headers["sec-websocket-protocol"];
  server.on("headers", (headers) => headers.push(`Sec-WebSocket-Protocol: ${protocol}`));
  return new Promise((resolve) => {
    socket.once("close", () => resolve(undefined));
    server.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on("error", () => undefined); // "close" follows, and that is handled.
      resolve(webSocket);
    });
  });
}

/** A channel of a WebSocket to write to: every message begins with the channel's number. */
export const channelWriter = (webSocket: WebSocket, channel: number): Writable =>
  new Writable({
    write: (chunk: Buffer, _encoding, done) => webSocket.send(Buffer.concat([Buffer.of(channel), chunk]), done),
  });

/** Hands every message on; while `receive` gives a promise, the client has to wait. */
export function onMessages(webSocket: WebSocket, receive: (message: Buffer) => Promise<void> | undefined): void {
  webSocket.on("message", (data) => {
    const message = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
    const wait = receive(message);
    if (!wait) return;
    webSocket.pause();
    void wait.then(() => webSocket.resume());
  });
}

/** Writes and gives a promise when the reader is behind; it settles when the stream takes more, or ends. */
export function writeTo(stream: Writable, bytes: Buffer): Promise<void> | undefined {
  if (!stream.writable || stream.write(bytes)) return undefined;
  return new Promise((resolve) => {
    const settle = () => {
      stream.off("drain", settle);
      stream.off("close", settle);
      resolve();
    };
    stream.once("drain", settle);
    stream.once("close", settle);
  });
}
