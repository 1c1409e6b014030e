import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { badRequest, methodNotAllowed } from "../api/status.ts";
import type { ExecRequest } from "../clouds/box.ts";
import type { Call } from "./call.ts";
import { containerOf, machineOf, podOf } from "./pod-target.ts";
import type { Query } from "./query.ts";
import type { Context } from "./services.ts";
import { attachStream, execStream } from "./streams/exec.ts";
import { portForwardStream } from "./streams/port-forward.ts";
import type { Target } from "./target.ts";

type Upgrade = { request: IncomingMessage; socket: Duplex; head: Buffer; query: Query; target: Target };

/** Subresources of a Pod that take over their connection. */
const streaming = new Set(["exec", "attach", "portforward"]);
const isStreaming = ({ kind, subresource }: Pick<Target, "kind" | "subresource">): boolean =>
  kind.resource === "pods" && streaming.has(subresource);

/** Serves exec, attach and port-forward until one side leaves. @throws ApiError before anything was written */
export async function upgradeStream(
  context: Context,
  { request, socket, head, query, target }: Upgrade,
): Promise<void> {
  if (!isStreaming(target)) throw badRequest("this path takes no upgrade");
  const found = podOf(context, target);
  const machineId = machineOf(found);
  const { boxes, clock } = context;
  const ended = new AbortController();
  socket.on("close", () => ended.abort());
  const stop = () => socket.destroy();
  context.closing.addEventListener("abort", stop, { once: true });
  try {
    if (target.subresource === "portforward") {
      const connect = (port: number) => boxes.connect(machineId, port, ended.signal);
      return await portForwardStream(request, socket, head, connect);
    }
    const container = containerOf(found.pod, query.get("container") ?? "");
    const open = (wanted: ExecRequest) => boxes.exec(machineId, { ...wanted, container }, ended.signal);
    const stream = target.subresource === "exec" ? execStream : attachStream;
    await stream(request, socket, head, open, clock);
  } finally {
    context.closing.removeEventListener("abort", stop);
  }
}

/** The same asked without an upgrade: never more than a refusal. */
export async function refuseStream(context: Context, call: Call, target: Target): Promise<void> {
  if (call.method !== "GET" && call.method !== "POST") throw methodNotAllowed();
  machineOf(podOf(context, target));
  throw badRequest("Upgrade request required");
}
