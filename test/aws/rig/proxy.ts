import { createServer, type IncomingMessage, type ServerResponse, request as sendHttp } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { type Answer, type AwsRequest, type Manner, readRequest } from "./request.ts";

/** Thrown by a manner whose answer gets lost: the connection breaks instead. */
export class Lost extends Error {}

export type AwsProxy = { url: string; close(): Promise<void> };

/** Passes every request through `manners`, the outermost one first, to what listens at `url`. */
export async function startProxy(url: string, manners: readonly Manner[]): Promise<AwsProxy> {
  const passOn = manners.reduceRight<(request: AwsRequest) => Promise<Answer>>(
    (next, manner) => (request) => manner(request, next),
    (request) => send(url, request),
  );
  const server = createServer((incoming, response) => {
    void serve(incoming, response, passOn);
  });
  server.keepAliveTimeout = 100_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function serve(
  incoming: IncomingMessage,
  response: ServerResponse,
  passOn: (request: AwsRequest) => Promise<Answer>,
): Promise<void> {
  response.on("error", () => undefined);
  try {
    const { method = "GET", url: path = "/" } = incoming;
    const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
    const body = (await buffer(incoming)).toString();
    const answer = await passOn(readRequest({ method, path, headers, body }));
    response.writeHead(answer.status, { ...answer.headers, "content-length": Buffer.byteLength(answer.body) });
    response.end(answer.body);
  } catch (error) {
    if (!(error instanceof Lost)) process.stderr.write(`rig: ${error instanceof Error ? error.stack : error}\n`);
    incoming.socket.destroy();
  }
}

const lengthHeaders = new Set(["content-length", "connection", "transfer-encoding", "date", "server"]);

/** One request on a connection of its own, as moto likes it. */
const send = (url: string, { method, path, headers, body }: AwsRequest): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { expect: _expect, connection: _connection, ...rest } = headers;
    const request = sendHttp(new URL(path, url), { method, headers: { ...rest, connection: "close" } }, (answer) => {
      buffer(answer).then((bytes) => {
        const kept = Object.entries(answer.headers).filter(([name]) => !lengthHeaders.has(name));
        resolve({
          status: answer.statusCode ?? 500,
          headers: Object.fromEntries(kept.map(([name, value]) => [name, String(value)])),
          body: bytes.toString(),
        });
      }, reject);
    });
    request.on("error", reject);
    request.end(body);
  });
