import { isObject, type JsonObject, own, put, sameJson } from "../json-values.ts";
import { ApiError } from "../status.ts";

const operationsMax = 10_000;
/** All `copy` operations of one patch together, in bytes of JSON: a few of them could double an object for ever. */
const copiedBytesMax = 3_145_728;

/** Leads out of an operation that cannot be done; never leaves this file. */
class Impossible extends Error {
  override readonly name = "Impossible";
}

/** What a pointer points into: a parent and the last step. */
type Place = { parent: JsonObject | unknown[]; key: string };

/**
 * A copy of `target` with RFC 6902 operations done in order. As in Kubernetes, `replace` of a missing key adds it,
 * negative indices count from the end, and a missing value is null.
 * @throws ApiError 422 when an operation cannot be done, 413 when there are too many or they copy too much
 */
export function jsonPatch(target: unknown, operations: readonly unknown[]): unknown {
  if (operations.length > operationsMax) {
    throw tooLarge(`The allowed maximum operations in a JSON patch is ${operationsMax}, got ${operations.length}`);
  }
  const document = { root: structuredClone(target), copiedBytes: 0 };
  try {
    for (const operation of operations) perform(document, isObject(operation) ? operation : {});
  } catch (error) {
    if (!(error instanceof Impossible)) throw error;
    throw new ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {});
  }
  return document.root;
}

const tooLarge = (message: string): ApiError => new ApiError(413, "RequestEntityTooLarge", message, {});

type Document = { root: unknown; copiedBytes: number };

function perform(document: Document, operation: JsonObject): void {
  const path = tokens(operation["path"]);
  switch (operation["op"]) {
    case "add":
      if (path.length === 0) throw new Impossible();
      add(document, path, structuredClone(operation["value"] ?? null));
      break;
    case "replace":
      replace(document, path, structuredClone(operation["value"] ?? null));
      break;
    case "remove":
      remove(document, path);
      break;
    case "move": {
      const from = tokens(operation["from"]);
      const value = read(document, from);
      if (from.length < path.length && from.every((token, index) => token === path[index])) throw new Impossible();
      remove(document, from);
      add(document, path, value);
      break;
    }
    case "copy": {
      const json = JSON.stringify(find(document, tokens(operation["from"])) ?? null);
      document.copiedBytes += json.length;
      if (document.copiedBytes > copiedBytesMax) {
        throw tooLarge(
          `Unable to complete the copy, the accumulated size increase of copy is ${document.copiedBytes}, exceeding the limit ${copiedBytesMax}`,
        );
      }
      add(document, path, JSON.parse(json));
      break;
    }
    case "test":
      if (!sameJson(find(document, path) ?? null, operation["value"] ?? null)) throw new Impossible();
      break;
    default:
      throw new Impossible();
  }
}

/** What stands before the first slash is ignored, as Kubernetes does. */
function tokens(pointer: unknown): string[] {
  if (pointer === "") return [];
  if (typeof pointer !== "string" || !pointer.includes("/")) throw new Impossible();
  const [, ...steps] = pointer.split("/");
  return steps.map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The value under one step, or undefined. */
function step(parent: unknown, key: string): unknown {
  if (Array.isArray(parent)) return parent[index(key, parent.length - 1)];
  return isObject(parent) ? own(parent, key) : undefined;
}

/** `-1` is `indexMax`. @throws Impossible beyond it */
function index(key: string, indexMax: number): number {
  if (!/^-?\d+$/.test(key)) throw new Impossible();
  const at = Number(key) < 0 ? Number(key) + indexMax + 1 : Number(key);
  if (at < 0 || at > indexMax) throw new Impossible();
  return at;
}

function placeOf(document: Document, path: readonly string[]): Place {
  let parent = document.root;
  for (const token of path.slice(0, -1)) parent = step(parent, token);
  const key = path.at(-1);
  if (key === undefined || !(Array.isArray(parent) || isObject(parent))) throw new Impossible();
  return { parent, key };
}

/** Undefined where an object lacks the last key. */
function find(document: Document, path: readonly string[]): unknown {
  if (path.length === 0) return document.root;
  const { parent, key } = placeOf(document, path);
  return step(parent, key);
}

function read(document: Document, path: readonly string[]): unknown {
  const value = find(document, path);
  if (value === undefined) throw new Impossible();
  return value;
}

function add(document: Document, path: readonly string[], value: unknown): void {
  const { parent, key } = placeOf(document, path);
  if (!Array.isArray(parent)) put(parent, key, value);
  else parent.splice(key === "-" ? parent.length : index(key, parent.length), 0, value);
}

function replace(document: Document, path: readonly string[], value: unknown): void {
  if (path.length === 0) {
    document.root = value;
    return;
  }
  const { parent, key } = placeOf(document, path);
  if (Array.isArray(parent)) parent[index(key, parent.length - 1)] = value;
  else put(parent, key, value);
}

function remove(document: Document, path: readonly string[]): void {
  read(document, path);
  const { parent, key } = placeOf(document, path);
  if (Array.isArray(parent)) parent.splice(index(key, parent.length - 1), 1);
  else delete parent[key];
}
