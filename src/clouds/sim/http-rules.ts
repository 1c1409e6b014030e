import { type IncomingMessage, request as requestOn, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Listener, Rule } from "../balancer.ts";

/** Whether a rule of an application balancer is for this host and path. */
export function matches({ host, path, pathType }: Rule, hostHeader: string, requestPath: string): boolean {
  const name = hostHeader.toLowerCase().replace(/:\d+$/, "");
  const [label, ...rest] = name.split(".");
  const isHost = host === undefined || host === name || (label !== "" && host === `*.${rest.join(".")}`);
  if (!isHost || path === undefined) return isHost;
  if (pathType === "Exact") return requestPath === path;
  const bare = path.replace(/\/+$/, "");
  return requestPath === bare || requestPath.startsWith(`${bare}/`);
}

/** Answers a request by what the first rule that is for it sends it to; `connect` opens a way into one of the groups. */
export function passOn(
  request: IncomingMessage,
  response: ServerResponse,
  listener: Listener | undefined,
  connect: (groups: readonly string[]) => Duplex | undefined,
): void {
  const [path = "/"] = (request.url ?? "/").split("?");
  const rule = listener?.rules?.find((each) => matches(each, request.headers.host ?? "", path));
  const groups = (rule ?? listener)?.forward.map(({ groupId }) => groupId) ?? [];
  if (groups.length === 0) return void response.writeHead(404).end();
  const upstream = connect(groups);
  if (upstream === undefined) return void response.writeHead(503).end();
  const { method = "GET", url: target = "/", headers } = request;
  const onward = requestOn({
    createConnection: () => upstream,
    method,
    path: target,
    headers: { ...headers, connection: "close" },
  });
  onward.once("response", (answer) => {
    const { connection: _, ...kept } = answer.headers;
    response.writeHead(answer.statusCode ?? 502, kept);
    answer.pipe(response);
  });
  onward.once("error", () => (response.headersSent ? response.destroy() : void response.writeHead(502).end()));
  response.once("close", () => upstream.destroy());
  request.pipe(onward);
}
