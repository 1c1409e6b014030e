import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { badRequest } from "../../api/status.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import type { ExecRequest, ExecSession } from "../../clouds/box.ts";
import { type Channels, type Streams, spdyChannels, webSocketChannels } from "./exec-channels.ts";
import { runExec } from "./exec-run.ts";
import { acceptSpdy, chosen, isSpdy, isWebSocket, offered, queryOf, refuseUpgrade } from "./upgrade.ts";
import { acceptWebSocket } from "./websocket.ts";

/** The newer one can close stdin alone. Older ones have no exit codes. */
const webSocketProtocols = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
const spdyProtocols = ["v4.channel.k8s.io"];
/** How long the client may take to open all streams that it asked for. */
const streamsMs = 30_000;

type Open = (request: ExecRequest) => Promise<ExecSession>;

/**
 * Serves `kubectl exec` on a connection that asks to be upgraded, by WebSocket or SPDY. `open` is called once both
 * sides can talk; a failure of it reaches the client as the command's. Resolves when the connection is gone, never rejects.
 */
export async function execStream(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  open: Open,
  clock: Clock = systemClock,
): Promise<void> {
  const command = queryOf(request).getAll("command");
  if (command.length === 0) {
    refuseUpgrade(socket, badRequest("you must specify at least one command for the container"));
    return;
  }
  await converse(request, socket, head, (wanted) => open({ ...wanted, command }), clock);
}

/** As `execStream`, to the process that the container runs already. */
export async function attachStream(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  open: Open,
  clock: Clock = systemClock,
): Promise<void> {
  await converse(request, socket, head, (wanted) => open({ ...wanted, command: [] }), clock);
}

async function converse(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  open: (wanted: Omit<ExecRequest, "command">) => Promise<ExecSession>,
  clock: Clock,
): Promise<void> {
  const query = queryOf(request);
  const has = (name: string) => ["true", "1"].includes(query.get(name) ?? "");
  const tty = has("tty");
  // A terminal has one stream for all that it shows.
  const streams = { stdin: has("stdin"), stdout: has("stdout"), stderr: has("stderr") && !tty, resize: tty };
  if (!streams.stdin && !streams.stdout && !streams.stderr) {
    refuseUpgrade(socket, badRequest("you must specify at least 1 of stdin, stdout, stderr"));
    return;
  }
  const channels = await channelsOf(request, socket, head, streams, clock);
  if (!channels) return;
  await runExec(channels, () => open({ container: query.get("container") ?? "", stdin: streams.stdin, tty }));
  const { gone } = channels;
  if (!gone.aborted) await new Promise((resolve) => gone.addEventListener("abort", resolve, { once: true }));
}

async function channelsOf(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  streams: Streams,
  clock: Clock,
): Promise<Channels | undefined> {
  if (isWebSocket(request)) {
    const protocol = chosen(webSocketProtocols, offered(request, "sec-websocket-protocol"));
    if (protocol === undefined) {
      refuse(socket, offered(request, "sec-websocket-protocol"));
      return undefined;
    }
    const webSocket = await acceptWebSocket(request, socket, head, protocol);
    return webSocket && webSocketChannels(webSocket, streams);
  }
  const protocol = chosen(spdyProtocols, offered(request, "x-stream-protocol-version"));
  if (!isSpdy(request) || protocol === undefined) {
    refuse(socket, offered(request, "x-stream-protocol-version"));
    return undefined;
  }
  acceptSpdy(socket, head, protocol);
  return await spdyChannels(socket, streams, streamsMs, clock);
}

function refuse(socket: Duplex, offers: readonly string[]): void {
  const known = webSocketProtocols.join(" ");
  refuseUpgrade(
    socket,
    badRequest(`unable to upgrade: client supports [${offers.join(" ")}], server accepts [${known}]`),
  );
}
