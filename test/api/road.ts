import { applyPatch, readConfig } from "../../src/api/apply.ts";
import { parseBody } from "../../src/api/body.ts";
import { decodeObject } from "../../src/api/decode.ts";
import { mountToken } from "../../src/api/defaulting/admission.ts";
import { applyDefaults } from "../../src/api/defaults.ts";
import { equal } from "../../src/api/equal.ts";
import { type Kind, kinds } from "../../src/api/kinds.ts";
import { recordUpdate } from "../../src/api/managed.ts";
import type { KubeObject } from "../../src/api/object.ts";
import { patchObject } from "../../src/api/patch/patch.ts";
import { ApiError, badRequest, type FieldProblem, invalid, notFound } from "../../src/api/status.ts";
import { hasGeneration, prepareUpdate } from "../../src/api/strategy.ts";
import { strictProblems } from "../../src/api/strict.ts";
import type { ManagedFieldsEntry, Service } from "../../src/api/types.gen.ts";
import { validateObject, validateUpdate, warningsFor } from "../../src/api/validate.ts";
import type { Exchange } from "../oracle/recorded.ts";

export type Reply = { status: number; body: unknown; warnings?: string[] };

/** Stands in for the namespace that every recorded sequence has to itself. */
const namespaceName = "spec-recorded-x";
const uid = "00000000-0000-4000-8000-000000000000";
const time = "2026-01-01T00:00:00Z";

/** `/apis/apps/v1/namespaces/{ns}/deployments/a/scale?x=y`, taken apart. */
function target(path: string) {
  const [route = "", query = ""] = path.split("?");
  const match = /^\/apis?\/((?:[^/]+\/)?v[^/]+)\/(?:namespaces\/([^/]+)\/)?([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(
    route,
  );
  const [, apiVersion, namespace = "", plural = "", name, subresource] = match ?? [];
  const kind = [...kinds.values()].find((each) => each.apiVersion === apiVersion && each.plural === plural);
  return { kind, namespace, name, subresource, query: new URLSearchParams(query) };
}

/** Gives a Service what the registry would choose for it. */
function allocate({ spec }: Service): void {
  if (spec.type === "ExternalName") return;
  spec.clusterIP ??= "10.96.0.5";
  spec.clusterIPs ??= [spec.clusterIP];
  if (spec.type === "ClusterIP") return;
  for (const port of spec.ports ?? []) port.nodePort ??= 30_000;
}

/** What a server does to an object without choosing anything for it, over a map of objects. */
export class Road {
  readonly #objects = new Map<string, KubeObject>();
  #version = 1;

  /** Undefined for requests that are not about one object of a known kind. */
  answer(recorded: Exchange): Reply | undefined {
    const exchange: Exchange = JSON.parse(JSON.stringify(recorded).replaceAll("{ns}", namespaceName));
    const { kind, namespace, name, subresource, query } = target(exchange.path);
    if (!kind) return undefined;
    const key = `${kind.resource}/${namespace}/`;
    const bytes = Buffer.from(typeof exchange.body === "string" ? exchange.body : JSON.stringify(exchange.body ?? ""));
    try {
      switch (exchange.method ?? "GET") {
        case "POST":
          return this.#create(kind, namespace, bytes, exchange.contentType ?? "application/json", query);
        case "PUT":
        case "PATCH":
          if (name === undefined) return undefined;
          if (exchange.contentType === "application/apply-patch+yaml") {
            return this.#apply(kind, namespace, key + name, bytes, query);
          }
          return this.#change(kind, key + name, exchange, bytes, subresource, query);
        default:
          return undefined;
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return { status: error.status.code, body: error.status };
    }
  }

  #create(kind: Kind, namespace: string, bytes: Buffer, contentType: string, query: URLSearchParams): Reply {
    const body = parseBody(bytes, contentType, kind.kind);
    const { object, unknown } = decodeObject(kind, body.value);
    const warnings = strictProblems(body, unknown);
    if (query.get("fieldValidation") === "Strict" && warnings.length > 0) {
      const why = `strict decoding error: ${warnings.join(", ")}`;
      throw badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`);
    }
    if (kind.namespaced) object.metadata.namespace = namespace;
    applyDefaults(kind, object, "defaults");
    const managedFields = recordUpdate(kind, undefined, object, this.#writer(query));
    return this.#admit(kind, object, managedFields, warnings, query);
  }

  #apply(kind: Kind, namespace: string, key: string, bytes: Buffer, query: URLSearchParams): Reply {
    const old = this.#objects.get(key);
    const by = { ...this.#writer(query), force: query.get("force") === "true" };
    const applied = applyPatch(kind, old, readConfig(kind, bytes), by);
    const { object } = decodeObject(kind, applied.object);
    delete object.metadata.managedFields;
    if (kind.namespaced) object.metadata.namespace = namespace;
    applyDefaults(kind, object, "defaults");
    if (old) return this.#write(kind, key, object, old, applied.managedFields, [], undefined, query);
    return this.#admit(kind, object, applied.managedFields, [], query);
  }

  #admit(
    kind: Kind,
    object: KubeObject,
    managedFields: ManagedFieldsEntry[],
    warnings: readonly string[],
    query: URLSearchParams,
  ): Reply {
    const { namespace = "" } = object.metadata;
    Object.assign(object.metadata, { uid, creationTimestamp: time });
    if (object.metadata.generateName) object.metadata.name ??= `${object.metadata.generateName}bcdfg`;
    if (hasGeneration(kind)) object.metadata.generation = 1;
    applyDefaults(kind, object, "admission");
    if (kind.kind === "Pod" && (object.spec as Record<string, unknown>)["automountServiceAccountToken"] !== false) {
      mountToken(object, "bcdfg");
    }
    applyDefaults(kind, object, "strategy");
    if (kind.kind === "Service") allocate(object as unknown as Service);
    this.#refuse(kind, object, validateObject(kind, object));
    if (managedFields.length > 0) object.metadata.managedFields = managedFields;
    if (query.get("dryRun") !== "All") {
      object.metadata.resourceVersion = String(++this.#version);
      this.#objects.set(`${kind.resource}/${namespace}/${object.metadata.name}`, object);
    }
    const all = query.get("fieldValidation") === "Ignore" ? [] : [...warnings, ...warningsFor(kind, object)];
    return { status: 201, body: object, ...(all.length > 0 && { warnings: all }) };
  }

  #change(
    kind: Kind,
    key: string,
    { method, contentType = "application/json" }: Exchange,
    bytes: Buffer,
    subresource: string | undefined,
    query: URLSearchParams,
  ): Reply {
    const old = this.#objects.get(key);
    if (!old) throw notFound({ group: kind.group, resource: kind.plural, name: key.split("/").at(-1) ?? "" });
    const value =
      method === "PUT" ? parseBody(bytes, contentType, kind.kind).value : patchObject(kind, contentType, old, bytes);
    const { object, unknown } = decodeObject(kind, value);
    applyDefaults(kind, object, "defaults");
    if (kind.namespaced) object.metadata.namespace ??= old.metadata.namespace;
    const managedFields = recordUpdate(kind, old, object, this.#writer(query));
    const warnings = unknown.map((path) => `unknown field "${path}"`);
    return this.#write(kind, key, object, old, managedFields, warnings, subresource, query);
  }

  #write(
    kind: Kind,
    key: string,
    object: KubeObject,
    old: KubeObject,
    managedFields: ManagedFieldsEntry[],
    warnings: readonly string[],
    subresource: string | undefined,
    query: URLSearchParams,
  ): Reply {
    delete object.metadata.resourceVersion;
    const next = prepareUpdate(kind, structuredClone(object), old, subresource);
    this.#refuse(kind, next, validateUpdate(kind, next, old, subresource));
    delete next.metadata.managedFields;
    if (managedFields.length > 0) next.metadata.managedFields = managedFields;
    next.metadata.resourceVersion = old.metadata.resourceVersion;
    if (!equal(next, old)) next.metadata.resourceVersion = String(++this.#version);
    if (query.get("dryRun") !== "All") this.#objects.set(key, next);
    const all = [...warnings, ...warningsFor(kind, next, old)];
    return { status: 200, body: next, ...(all.length > 0 && { warnings: all }) };
  }

  #writer(query: URLSearchParams) {
    return { manager: query.get("fieldManager") ?? "replay", time };
  }

  #refuse(kind: Kind, object: KubeObject, problems: readonly FieldProblem[]): void {
    if (problems.length > 0) throw invalid(kind.group, kind.kind, object.metadata.name ?? "", problems);
  }
}

const addresses = new Set(["clusterIP", "clusterIPs", "podIP", "hostIP", "ip", "podIPs", "hostIPs"]);

type Named = { operation?: string; manager?: string; subresource?: string; message?: string; field?: string };
const orderOf = (item: Named): string =>
  [item.operation, item.manager, item.subresource, item.message, item.field].join();

/** Lists whose order depends on the second of the clock or on a Go map. */
function inOrder(key: string, items: unknown[]): unknown[] {
  const isConflict =
    key === "causes" && (items[0] as { reason?: string } | undefined)?.reason === "FieldManagerConflict";
  if (key !== "managedFields" && !isConflict) return items;
  return (items as Named[]).toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
}

/** The reply with everything masked that differs from run to run, as recordings are. */
export function masked(value: unknown, key = ""): unknown {
  if (typeof value === "string") {
    if (key === "resourceVersion") return "<rv>";
    if (addresses.has(key) && /^[\d.]+$/.test(value)) return "<ip>";
    return value
      .replaceAll(namespaceName, "{ns}")
      .replaceAll("kube-api-access-bcdfg", "kube-api-access-<suffix>")
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<uid>")
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z(?!07)/g, "<time>");
  }
  if (key === "nodePort") return "<port>";
  if (Array.isArray(value)) return inOrder(key, value).map((item) => masked(item, key));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  const out = Object.fromEntries(entries.map(([name, item]) => [name, masked(item, name)]));
  const metadata = out["metadata"] as Record<string, unknown> | undefined;
  if (metadata?.["generateName"]) metadata["name"] = `${metadata["generateName"]}<suffix>`;
  return out;
}
