import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { badRequest, methodNotAllowed } from "../api/status.ts";
import { negotiate } from "./accept.ts";
import type { User } from "./authenticate.ts";
import { allowed, refusal } from "./authorize.ts";
import { type Call, splitUrl } from "./call.ts";
import { aggregated, aggregatedVersion, legacy, version } from "./discovery.ts";
import { noSuchResource } from "./failure.ts";
import { openapi } from "./openapi.ts";
import { openapiAnswer } from "./openapi-answer.ts";
import { type ApiPath, parsePath } from "./path.ts";
import { upgradeStream } from "./pod-streams.ts";
import { flag } from "./query.ts";
import { sendAnswer, sendCached, sendText, sendValue } from "./reply.ts";
import { resources } from "./resources.ts";
import type { Context } from "./services.ts";
import { attributesOf, targetOf, verbOf } from "./target.ts";

export type Router = {
  /** Answers a request. @throws ApiError for every refusal */
  request(call: Call): Promise<void>;
  /** Takes over the connection of exec, attach and port-forward. @throws ApiError before anything was written */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, user: User): Promise<void>;
};

const health = new Set(["/healthz", "/livez", "/readyz"]);
const plainGroups = new Map<string, Buffer>();

/** Sends every path where it belongs, once it is allowed. */
export function router(context: Context): Router {
  const serveResource = resources(context);
  const documents = openapi(context.registry.kinds.served());
  const { view, kinds } = context.registry;

  async function serveDiscovery(call: Call, path: Extract<ApiPath, { is: "discovery" }>) {
    if (call.method !== "GET" && call.method !== "HEAD") throw methodNotAllowed();
    const wanted = path.group === undefined ? aggregatedVersion(call.request.headers.accept) : undefined;
    const id = `${wanted ?? ""} ${call.path}`;
    const served = kinds.served();
    if (wanted !== undefined) {
      const bytes = remember(id, () => aggregated(served, path.root, wanted));
      const type = `application/json;g=apidiscovery.k8s.io;v=${wanted};as=APIGroupDiscoveryList`;
      return await sendCached(call, bytes, type);
    }
    const address = call.request.headers.host ?? "";
    const document = legacy(served, { ...path, address });
    if (document !== undefined) {
      return await sendValue(call, 200, document, { yaml: negotiate(call.request.headers.accept, false).yaml });
    }
    if (served.some(({ group }) => group === path.group)) throw noSuchResource();
    await sendText(call, 404, "404 page not found\n");
  }

  async function serveOther(call: Call) {
    if (health.has(call.path)) return await sendText(call, 200, "ok");
    if (call.path === "/version" || call.path === "/version/") return await sendValue(call, 200, version);
    if (call.path.startsWith("/openapi/") && call.method === "GET" && (await serveOpenapi(call))) return;
    await sendText(call, 404, "404 page not found\n");
  }

  async function serveOpenapi(call: Call): Promise<boolean> {
    const { accept, "if-none-match": ifNoneMatch } = call.request.headers;
    const answer = openapiAnswer(documents, {
      path: call.path,
      hash: call.query.get("hash") ?? undefined,
      accept,
      ifNoneMatch,
    });
    if (answer !== undefined) await sendAnswer(call, answer.status, answer.headers, answer.body);
    return answer !== undefined;
  }

  return {
    async request(call) {
      const path = parsePath(call.path);
      if (path.is !== "resource") {
        authorizePath(call);
        return path.is === "discovery" ? await serveDiscovery(call, path) : await serveOther(call);
      }
      const verb = verbOf(call.method, path, call.query.has("watch") && flag(call.query, "watch"));
      const attributes = attributesOf(path, verb);
      if (!allowed(call.user, attributes, view)) throw refusal(call.user, attributes);
      const target = targetOf(path, verb, kinds);
      if (target === undefined) return await sendText(call, 404, "404 page not found\n");
      await serveResource(call, target);
    },

    async upgrade(request, socket, head, user) {
      const { path: url, query } = splitUrl(request);
      const path = parsePath(url);
      if (path.is !== "resource") throw badRequest("this path takes no upgrade");
      // Whatever the method: a WebSocket begins with a GET, but it may change as much as a POST.
      const attributes = attributesOf(path, "create");
      if (!allowed(user, attributes, view)) throw refusal(user, attributes);
      const target = targetOf(path, "create", kinds);
      if (target === undefined) throw noSuchResource();
      await upgradeStream(context, { request, socket, head, query, target });
    },
  };

  function authorizePath({ method, path, user }: Call) {
    const attributes = { verb: method === "HEAD" ? "get" : method.toLowerCase(), path };
    if (!allowed(user, attributes, view)) throw refusal(user, attributes);
  }
}

function remember(id: string, make: () => object): Buffer {
  const bytes = plainGroups.get(id) ?? Buffer.from(JSON.stringify(make()));
  plainGroups.set(id, bytes);
  return bytes;
}
