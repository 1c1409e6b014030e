import type { Kind } from "../api/kinds.ts";
import { kinds, schema } from "../api/kinds.ts";
import { referenceTo } from "./openapi-schemas.ts";

type Json = Record<string, unknown>;

const text = { type: "string", uniqueItems: true };
const flag = { type: "boolean", uniqueItems: true };
const count = { type: "integer", uniqueItems: true };
const queryParameter = (name: string, schemaOfIt: Json): Json => ({ name, in: "query", schema: schemaOfIt });
const pathParameter = (name: string): Json => ({ name, in: "path", required: true, schema: text });

const listing = [
  queryParameter("allowWatchBookmarks", flag),
  queryParameter("continue", text),
  queryParameter("fieldSelector", text),
  queryParameter("labelSelector", text),
  queryParameter("limit", count),
  queryParameter("resourceVersion", text),
  queryParameter("resourceVersionMatch", text),
  queryParameter("sendInitialEvents", flag),
  queryParameter("timeoutSeconds", count),
  queryParameter("watch", flag),
];
const writing = [
  queryParameter("dryRun", text),
  queryParameter("fieldManager", text),
  queryParameter("fieldValidation", text),
];
const deleting = [
  queryParameter("dryRun", text),
  queryParameter("gracePeriodSeconds", count),
  queryParameter("orphanDependents", flag),
  queryParameter("propagationPolicy", text),
];
const parameters: Readonly<Record<string, Json[]>> = {
  list: listing,
  create: writing,
  update: writing,
  patch: [...writing, queryParameter("force", flag)],
  delete: deleting,
  deletecollection: [...listing, ...deleting],
};

const media = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const patches = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];
const content = (types: readonly string[], value: Json): Json =>
  Object.fromEntries(types.map((type) => [type, { schema: value }]));

/** Discovery's verbs with their method and Kubernetes' word for the action in OpenAPI. */
const collectionVerbs = [
  ["list", "get", "list"],
  ["create", "post", "post"],
  ["deletecollection", "delete", "deletecollection"],
] as const;
const objectVerbs = [
  ["get", "get", "get"],
  ["update", "put", "put"],
  ["patch", "patch", "patch"],
  ["delete", "delete", "delete"],
] as const;
const subresourceVerbs = [["create", "post", "post"], ...objectVerbs] as const;
type Verbs = readonly (readonly [verb: string, method: string, action: string])[];

/** What is read and written at an address: the kind's GVK, its type, and the type of its list. */
type Subject = { group: string; version: string; kind: string; type: string; listType?: string };

/** Types that the paths of these kinds speak of: bodies, answers and lists. */
export function typesOfPaths(served: readonly Kind[]): string[] {
  return served.flatMap((kind) => [
    kind.type,
    ...(kind.verbs.includes("list") ? [listType(kind)] : []),
    ...Object.values(kind.subresources).map(({ kind: of }) => subjectOf(of)?.type ?? kind.type),
    "meta.v1.DeleteOptions",
    "meta.v1.Status",
    "meta.v1.WatchEvent",
  ]);
}

const listType = (kind: Kind): string => `${kind.type.slice(0, kind.type.lastIndexOf("."))}.${kind.listKind}`;

/** The type of a subresource's body; undefined where it is no object of the API, such as a log. */
function subjectOf(id: string): Subject | undefined {
  const [kind = "", version = "", group = ""] = id.split("/").reverse();
  const known = kinds.get(id)?.type;
  const type =
    known ?? Object.entries(schema.types).find(([, row]) => row.k?.[1] === kind && `${row.k[0]}/${kind}` === id)?.[0];
  return type === undefined ? undefined : { group, version, kind, type };
}

/** Every address of these kinds with the operations that discovery promises there. */
export function pathsOf(served: readonly Kind[]): Json {
  const paths: [string, Json][] = [];
  for (const kind of served) {
    const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
    const subject: Subject = { ...kind, listType: listType(kind) };
    const namespace = kind.namespaced ? [pathParameter("namespace")] : [];
    const collection = `${root}${kind.namespaced ? "/namespaces/{namespace}" : ""}/${kind.plural}`;
    const object = `${collection}/{name}`;
    const named = [pathParameter("name"), ...namespace];
    const add = (path: string, place: Json[], verbs: Verbs, allowed: readonly string[], of: Subject, name: string) => {
      const operations = verbs
        .filter(([verb]) => allowed.includes(verb))
        .map(([verb, method, action]) => [method, operation(verb, action, of, `${method} ${name}`, kind)] as const);
      if (operations.length > 0) paths.push([path, { ...Object.fromEntries(operations), parameters: place }]);
    };
    add(collection, namespace, collectionVerbs, kind.verbs, subject, kind.kind);
    if (kind.namespaced)
      add(`${root}/${kind.plural}`, [], collectionVerbs.slice(0, 1), kind.verbs, subject, `all ${kind.kind}`);
    add(object, named, objectVerbs, kind.verbs, subject, `one ${kind.kind}`);
    for (const [name, { kind: of, verbs }] of Object.entries(kind.subresources)) {
      const found = subjectOf(of);
      if (found) add(`${object}/${name}`, named, subresourceVerbs, verbs, found, `${kind.kind} ${name}`);
      else
        paths.push([
          `${object}/${name}`,
          { ...connections(of, verbs, `${kind.kind} ${name}`, kind), parameters: named },
        ]);
    }
  }
  return Object.fromEntries(paths.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function operation(verb: string, action: string, of: Subject, name: string, kind: Kind): Json {
  const answers = verb === "delete" || verb === "deletecollection" ? "meta.v1.Status" : of.type;
  const answer = verb === "list" && of.listType !== undefined ? of.listType : answers;
  const body = bodyOf(verb, of);
  const ok = { description: "OK", content: content(media, referenceTo(answer)) };
  return {
    operationId: operationId(name, kind),
    tags: [tag(kind)],
    ...(parameters[verb] && { parameters: parameters[verb] }),
    ...(body && { requestBody: { ...body, required: verb !== "delete" && verb !== "deletecollection" } }),
    responses: {
      200: ok,
      ...((verb === "create" || verb === "update" || verb === "patch") && { 201: { ...ok, description: "Created" } }),
      401: { description: "Unauthorized" },
    },
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": { group: of.group, version: of.version, kind: of.kind },
  };
}

/** Operations that open a stream, such as exec: their body and answer are no objects. */
function connections(id: string, verbs: readonly string[], name: string, kind: Kind): Json {
  const [of = "", version = "", group = ""] = id.split("/").reverse();
  const operations = subresourceVerbs
    .filter(([verb]) => verbs.includes(verb))
    .map(([, method]) => {
      const ok = { description: "OK", content: content(["*/*"], { type: "string" }) };
      const value = {
        operationId: operationId(`connect ${method} ${name}`, kind),
        tags: [tag(kind)],
        responses: { 200: ok, 401: { description: "Unauthorized" } },
        "x-kubernetes-action": "connect",
        "x-kubernetes-group-version-kind": { group, version, kind: of },
      };
      return [method, value] as const;
    });
  return Object.fromEntries(operations);
}

const tag = (kind: Kind): string => `${kind.group.split(".")[0] || "core"}_${kind.version}`;

/** `name`: what the operation is about, in words. */
function operationId(name: string, kind: Kind): string {
  const words = `${name} ${tag(kind).replace("_", " ")}${kind.namespaced ? " namespaced" : ""}`;
  return words.replace(/ (\w)/g, (_, letter: string) => letter.toUpperCase());
}

function bodyOf(verb: string, of: Subject): Json | undefined {
  if (verb === "create" || verb === "update") return { content: content(["*/*"], referenceTo(of.type)) };
  if (verb === "patch") return { content: content(patches, { type: "object" }) };
  const isDelete = verb === "delete" || verb === "deletecollection";
  return isDelete ? { content: content(["*/*"], referenceTo("meta.v1.DeleteOptions")) } : undefined;
}
