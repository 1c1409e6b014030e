import { type IncomingMessage, STATUS_CODES } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ApiError } from "../../api/status.ts";

/** Answers a request for an upgrade with an error as any other request, and closes its connection. */
export function refuseUpgrade(socket: Duplex, { status }: ApiError): void {
  const body = Buffer.from(JSON.stringify(status));
  const head = [
    `HTTP/1.1 ${status.code} ${STATUS_CODES[status.code] ?? "Error"}`,
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  socket.on("error", () => undefined);
  socket.end(Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]));
}

/** Turns the connection into a SPDY/3.1 one. `protocol`: what is spoken on its streams. */
export function acceptSpdy(socket: Duplex, head: Buffer, protocol: string): void {
  if (socket instanceof Socket) socket.setTimeout(0).setNoDelay();
  const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: SPDY/3.1"];
  socket.write(`${lines.join("\r\n")}\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`);
  if (head.length > 0) socket.unshift(head);
}

const upgradeOf = (request: IncomingMessage): string => (request.headers.upgrade ?? "").toLowerCase();
export const isWebSocket = (request: IncomingMessage): boolean => upgradeOf(request) === "websocket";
export const isSpdy = (request: IncomingMessage): boolean => upgradeOf(request) === "spdy/3.1";

/** The comma-separated values of a header that may come several times. */
export const offered = (request: IncomingMessage, header: string): string[] =>
  [request.headers[header] ?? []]
    .flat()
    .flatMap((line) => line.split(","))
    .map((word) => word.trim());

/** The first of `known`, in the order of preference, that the client offers. */
export const chosen = (known: readonly string[], offers: readonly string[]): string | undefined =>
  known.find((protocol) => offers.includes(protocol));

export const queryOf = (request: IncomingMessage): URLSearchParams =>
  new URL(request.url ?? "/", "http://localhost").searchParams;
