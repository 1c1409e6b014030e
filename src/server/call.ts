import type { IncomingMessage, ServerResponse } from "node:http";
import type { User } from "./authenticate.ts";
import type { Query } from "./query.ts";

/** One HTTP request on its way through the server, and the answer that is being made for it. */
export type Call = {
  request: IncomingMessage;
  response: ServerResponse;
  method: string;
  /** Still percent-encoded, without the query. */
  path: string;
  query: Query;
  user: User;
  /** Become `Warning` headers of the answer. */
  warnings: string[];
};

const none = new URLSearchParams();

/** Method, path and query of a request. */
export function splitUrl(request: IncomingMessage): { method: string; path: string; query: Query } {
  const { url = "/", method = "GET" } = request;
  const at = url.indexOf("?");
  if (at < 0) return { method, path: url, query: none };
  return { method, path: url.slice(0, at), query: new URLSearchParams(url.slice(at + 1)) };
}

export const callOf = (request: IncomingMessage, response: ServerResponse, user: User): Call => ({
  request,
  response,
  ...splitUrl(request),
  user,
  warnings: [],
});
