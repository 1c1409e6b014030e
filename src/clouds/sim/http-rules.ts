import { type IncomingMessage, request as requestOn, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Answer, Listener, Rule } from "../balancer.ts";
import { patternSource } from "../patterns.ts";

/** Whether a rule of an application balancer is for this host and path. One with conditions is for nobody here. */
export const matches = (rule: Rule, hostHeader: string, requestPath: string): boolean =>
  (rule.conditions ?? []).length === 0 && isForHost(rule, nameIn(hostHeader)) && isForPath(rule, requestPath);

const nameIn = (hostHeader: string): string => hostHeader.toLowerCase().replace(/:\d+$/, "");
const fits = (patterns: readonly string[], text: string): boolean =>
  patterns.some((pattern) => new RegExp(patternSource(pattern)).test(text));

function isForHost({ host, hosts = [] }: Rule, name: string): boolean {
  const [label, ...rest] = name.split(".");
  if (host === undefined && hosts.length === 0) return true;
  return host === name || (label !== "" && host === `*.${rest.join(".")}`) || fits(hosts, name);
}

function isForPath({ path, pathType, patterns = [] }: Rule, requestPath: string): boolean {
  if (path === undefined) return patterns.length === 0 || fits(patterns, requestPath);
  const bare = path.replace(/\/+$/, "");
  const isBelow = pathType !== "Exact" && (requestPath === bare || requestPath.startsWith(`${bare}/`));
  return requestPath === path || isBelow || fits(patterns, requestPath);
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
  response.writeHead(answer.statusCode, { location: locationOf(answer, host, url) }).end();
}

/** Plain requests alone are served, so what a redirect leaves as it is, is HTTP. */
function locationOf(redirect: Answer & { kind: "redirect" }, host: string, url: string): string {
  const { protocol, port, path, query } = redirect;
  const [ownPath = "/", ownQuery = ""] = url.split(/\?(.*)/s);
  const own: Readonly<Record<string, string>> = {
    protocol: "http",
    host: host.replace(/:\d+$/, ""),
    port: /:(\d+)$/.exec(host)?.[1] ?? "80",
    path: ownPath.slice(1),
    query: ownQuery,
  };
  const filled = (text: string) =>
    text.replace(/#\{(protocol|host|port|path|query)\}/g, (_, name: string) => own[name] ?? "");
  const isUsual = port === undefined || port === (protocol === "HTTPS" ? 443 : 80);
  const ownHost = port === undefined && protocol === undefined ? host : own["host"];
  const where = `${redirect.host === undefined ? ownHost : filled(redirect.host)}${isUsual ? "" : `:${port}`}`;
  const asked = query === undefined ? ownQuery : filled(query);
  const rest = `${path === undefined ? ownPath : filled(path)}${asked === "" ? "" : `?${asked}`}`;
  return `${(protocol ?? "HTTP").toLowerCase()}://${where}${rest}`;
}
