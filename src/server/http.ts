import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { ApiError } from "../api/status.ts";
import type { Clock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import { systemRandom } from "../base/random.ts";
import { anonymous, authenticator } from "./authenticate.ts";
import { type Call, callOf } from "./call.ts";
import { failureOf, isUnexpected } from "./failure.ts";
import type { Identity } from "./identity.ts";
import { impersonated } from "./impersonate.ts";
import { sendValue } from "./reply.ts";
import { router } from "./router.ts";
import type { Services } from "./services.ts";
import { refuseUpgrade } from "./streams/upgrade.ts";

export type ServerOptions = Services & {
  /** 0: any free one. */
  port: number;
  /** Loopback unless the user wants otherwise. */
  host?: string;
};

export type Server = {
  port: number;
  /** Ends watches and open requests and frees the port. */
  close(): Promise<void>;
};

/** Go clients keep connections for 90 s and do not repeat a POST on one that was closed under them. */
const keepAliveMs = 120_000;
const headersMs = 30_000;
/** For the whole request; a log or a watch is an answer and may take longer. */
const requestMs = 60_000;
const handshakeMs = 10_000;
const headerBytesMax = 65_536;
const connectionsMax = 10_000;
/** Requests that are being answered at once, watches and streams left out. */
const inFlightMax = 2_000;
const closeMs = 2_000;
const closeStepMs = 20;

/** Serves the API over HTTPS. @throws PORT_UNAVAILABLE: it is taken, or not for this user */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { identity, log, clock } = options;
  const closing = new AbortController();
  const { view } = options.registry;
  const known = authenticator(identity, view, clock);
  const authenticate = (request: IncomingMessage) => impersonated(request, known(request), view);
  const route = router({ ...options, closing: closing.signal, random: systemRandom });
  let inFlight = 0;

  async function serve(request: IncomingMessage, response: ServerResponse) {
    const startedMs = clock.monotonicMs();
    let call = callOf(request, response, anonymous);
    inFlight++;
    try {
      call = { ...call, user: authenticate(request) };
      if (inFlight > inFlightMax) throw tooMany();
      await route.request(call);
    } catch (error) {
      await fail(call, error);
    } finally {
      inFlight--;
      const ms = Math.round(clock.monotonicMs() - startedMs);
      log.debug(
        { method: call.method, url: request.url, code: response.statusCode, user: call.user.name, ms },
        "request",
      );
    }
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer) {
    await route.upgrade(request, socket, head, authenticate(request));
  }

  async function fail(call: Call, error: unknown) {
    const gone = call.response.destroyed || call.response.socket === null;
    if (isUnexpected(error) && !gone) log.error({ err: error, method: call.method, url: call.path }, "request failed");
    if (call.response.headersSent) return void call.response.destroy();
    const { status, warnings } = failureOf(error);
    call.warnings.push(...warnings);
    if (!call.request.complete) call.response.setHeader("Connection", "close");
    const retrySeconds = status.details?.retryAfterSeconds;
    if (retrySeconds !== undefined) call.response.setHeader("Retry-After", String(retrySeconds));
    await sendValue(call, status.code, status);
  }

  const server = createServer(secured(identity), (request, response) => void serve(request, response));
  server.maxConnections = connectionsMax;
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    upgrade(request, socket, head).catch((error: unknown) => refuseUpgrade(socket, failureOf(error)));
  });
  server.on("tlsClientError", (error) => log.debug({ err: error }, "TLS handshake failed"));

  const port = await listen(server, options.port, options.host ?? "127.0.0.1");
  return {
    port,
    async close() {
      closing.abort(new Error("the server is closing"));
      await closed(server, clock);
    },
  };
}

const secured = ({ server, authority }: Identity) => ({
  key: server.key,
  cert: server.certificate,
  ca: authority,
  requestCert: true,
  rejectUnauthorized: false,
  minVersion: "TLSv1.2" as const,
  ALPNProtocols: ["http/1.1"],
  keepAliveTimeout: keepAliveMs,
  headersTimeout: headersMs,
  requestTimeout: requestMs,
  handshakeTimeout: handshakeMs,
  maxHeaderSize: headerBytesMax,
  noDelay: true,
});

/** Closes the server. A connection becomes idle when its answer is out; what is still busy after a while is cut. */
async function closed(server: ReturnType<typeof createServer>, clock: Clock): Promise<void> {
  let isClosed = false;
  server.close(() => {
    isClosed = true;
  });
  for (let waitedMs = 0; !isClosed; waitedMs += closeStepMs) {
    if (waitedMs < closeMs) server.closeIdleConnections();
    else server.closeAllConnections();
    await clock.sleep(closeStepMs);
  }
}

const tooMany = (): ApiError =>
  new ApiError(429, "TooManyRequests", "too many requests, please try again later", { retryAfterSeconds: 1 });

function listen(server: ReturnType<typeof createServer>, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(
        new DroverError("PORT_UNAVAILABLE", `${host}:${port} can't be listened on: ${error.message}`, { port }, error),
      );
    });
    server.listen({ port, host, backlog: 1_024 }, () => {
      const address = server.address();
      resolve(isAddress(address) ? address.port : port);
    });
  });
}

const isAddress = (address: AddressInfo | string | null): address is AddressInfo =>
  address !== null && typeof address === "object";
