import { type IncomingMessage, request as requestOn, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Answer, Listener, Rule } from "../balancer.ts";

/** Whether a rule of an application balancer is for this host and path. One with conditions is for nobody here. */
export function matches(rule: Rule, hostHeader: string, requestPath: string): boolean {
  const { host, path, pathType, conditions = [] } = rule;
  if (conditions.length > 0) return false;
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
  const { answer } = rule ?? listener ?? {};
  if (answer) {
    respond(response, answer, request.headers.host ?? "", request.url ?? "/");
    return;
  }
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

function respond(response: ServerResponse, answer: Answer, host: string, url: string): void {
  if (answer.kind === "fixed") {
    const { statusCode, contentType = "text/plain", body } = answer;
    response.writeHead(statusCode, body === undefined ? {} : { "content-type": contentType }).end(body);
    return;
  }
  const { statusCode, protocol = "HTTP", host: to = host, port, path } = answer;
  const where = `${to.replace(/:\d+$/, "")}${port === undefined ? "" : `:${port}`}`;
  const location = `${protocol.toLowerCase()}://${where}${path?.startsWith("/#{path}") === false ? path : url}`;
  response.writeHead(statusCode, { location }).end();
}
