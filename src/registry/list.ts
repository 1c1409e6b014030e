import type { Kind } from "../api/kinds.ts";
import { ApiError, badRequest, expired } from "../api/status.ts";
import { lowerBound } from "../store/sorted.ts";
import type { Context } from "./context.ts";
import type { ListQuery, ListResult, Selection } from "./requests.ts";
import type { Stored } from "./stored.ts";
import { asVersion } from "./versions.ts";

/** How long a reader waits for a revision that is not written yet. */
const futureWaitMs = 3000;

/** As a GET of a collection, in key order. @throws ApiError 400, 410, 504 */
export async function list(context: Context, kind: Kind, query: ListQuery): Promise<ListResult> {
  const { revision, items, start, limit } = await snapshot(context, kind, query);
  const first = start === "" ? 0 : lowerBound(items, start);
  const chosen: Stored[] = [];
  let at = first;
  for (; at < items.length && (limit <= 0 || chosen.length < limit); at++) {
    const item = items[at];
    if (item === undefined) break;
    const stored = asVersion(item, kind);
    if (matches(query, stored)) chosen.push(stored);
  }
  const resourceVersion = String(revision);
  const next = items[at];
  if (next === undefined) return { items: chosen, resourceVersion };
  const selective = query.labels !== undefined || query.fields !== undefined;
  return {
    items: chosen,
    resourceVersion,
    continue: continueToken({ revision, start: next.key }),
    ...(!selective && { remainingItemCount: items.length - at }),
  };
}

export const matches = ({ labels, fields }: Selection, stored: Stored): boolean =>
  (labels === undefined || labels(stored.object.metadata.labels)) && (fields === undefined || fields(stored.object));

type Snapshot = { revision: number; items: readonly Stored[]; start: string; limit: number };

async function snapshot(context: Context, kind: Kind, query: ListQuery): Promise<Snapshot> {
  const { cache } = context;
  const { resource } = context.kinds.storedAs(kind);
  const { namespace = "", limit = 0, resourceVersion: asked = "", resourceVersionMatch: match } = query;
  if (query.continue) return continued(context, resource, namespace, limit, asked, query.continue);
  if (asked === "0") return { revision: cache.revision, items: cache.all(resource, namespace), start: "", limit: 0 };
  if (asked === "") return { revision: cache.revision, items: cache.all(resource, namespace), start: "", limit };
  const revision = parseRevision(asked);
  await waitFor(context, revision);
  if (match !== "Exact" && (match !== undefined || limit <= 0)) {
    return { revision: cache.revision, items: cache.all(resource, namespace), start: "", limit };
  }
  const items = cache.allAt(resource, namespace, revision);
  if (items === undefined) throw expired("The resourceVersion for the provided list is too old.");
  return { revision, items, start: "", limit };
}

function continued(
  { cache }: Context,
  resource: string,
  namespace: string,
  limit: number,
  asked: string,
  text: string,
): Snapshot {
  if (asked !== "" && asked !== "0") throw badRequest("specifying resource version is not allowed when using continue");
  const { revision, start } = parseToken(text);
  if (revision < 0) return { revision: cache.revision, items: cache.all(resource, namespace), start, limit };
  const items = cache.allAt(resource, namespace, revision);
  if (items === undefined) throw expiredToken(start);
  return { revision, items, start, limit };
}

/** @throws ApiError 400 */
export function parseRevision(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const quoted = JSON.stringify(text);
  const why = `Invalid value: ${quoted}: strconv.ParseUint: parsing ${quoted}: invalid syntax`;
  throw badRequest(`invalid resource version: resourceVersion: ${why}`);
}

/** @throws ApiError 504 when the revision is not written in time */
export async function waitFor(context: Context, revision: number): Promise<void> {
  if (revision <= context.cache.revision) return;
  const over = new AbortController();
  const late = context.clock.sleep(futureWaitMs, over.signal).then(
    () => over.abort(),
    () => {},
  );
  const reached = await context.cache.reached(revision, over.signal);
  over.abort();
  await late;
  if (!reached) throw tooLarge(revision, context.cache.revision);
}

const tooLarge = (revision: number, current: number): ApiError =>
  new ApiError(504, "Timeout", `Timeout: Too large resource version: ${revision}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });

/** Opaque to clients: the revision of the list (-1: whatever is newest) and the key to go on from. */
type Token = { revision: number; start: string };

const continueToken = (token: Token): string => Buffer.from(JSON.stringify(token)).toString("base64url");

function parseToken(text: string): Token {
  const json = Buffer.from(text, "base64url").toString("latin1");
  try {
    const { revision, start } = JSON.parse(json);
    if (typeof revision === "number" && typeof start === "string") return { revision, start };
  } catch {
    // Not one of ours either.
  }
  const first = `\\u${json.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const why = `invalid character '${first}' looking for beginning of value`;
  throw badRequest(`invalid continue token: continue key is not valid: ${why}`);
}

function expiredToken(start: string): ApiError {
  const error = expired(
    "The provided continue parameter is too old to display a consistent list result. You can start a new list " +
      "without the continue parameter, or use the continue token in this response to retrieve the remainder of the " +
      "results. Continuing with the provided token results in an inconsistent list - objects that were created, " +
      "modified, or deleted between the time the first chunk was returned and now may show up in the list.",
  );
  error.status.metadata = { continue: continueToken({ revision: -1, start }) };
  return error;
}
