import type { Kind } from "../api/kinds.ts";
import { methodNotAllowed } from "../api/status.ts";
import type { KindTable } from "../registry/kind-table.ts";
import type { Attributes } from "./authorize.ts";
import { noSuchResource } from "./failure.ts";
import type { ApiPath } from "./path.ts";

/** What a request to a resource is about. */
export type Target = {
  kind: Kind;
  /** Empty: cluster-scoped, or all namespaces. */
  namespace: string;
  /** Empty: the collection. */
  name: string;
  subresource: string;
  verb: string;
};

type ResourcePath = Extract<ApiPath, { is: "resource" }>;

const collectionVerbs: Readonly<Record<string, string>> = {
  GET: "list",
  HEAD: "list",
  POST: "create",
  DELETE: "deletecollection",
};
const objectVerbs: Readonly<Record<string, string>> = {
  GET: "get",
  HEAD: "get",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};
/** Subresources of which a POST makes something; everywhere else a POST to a name is refused. */
const subresourceVerbs: Readonly<Record<string, string>> = { ...objectVerbs, POST: "create" };

/** RBAC's word for what the method does there. */
export function verbOf(method: string, path: ResourcePath, watching: boolean): string {
  if (path.watch || (watching && path.subresource === "" && (method === "GET" || method === "HEAD"))) return "watch";
  const verbs = path.name === "" ? collectionVerbs : path.subresource === "" ? objectVerbs : subresourceVerbs;
  return verbs[method] ?? method.toLowerCase();
}

/** What RBAC is asked about a request. */
export const attributesOf = (path: ResourcePath, verb: string): Attributes => ({
  verb,
  group: path.group,
  resource: path.plural,
  subresource: path.subresource,
  namespace: path.plural === "namespaces" && path.group === "" ? path.name : path.namespace,
  name: path.name,
});

/** Finds the kind and checks that it allows the verb. Undefined: the whole group is unknown. @throws 404, 405 */
export function targetOf(path: ResourcePath, verb: string, table: KindTable): Target | undefined {
  const kind = table.find(path.group, path.version, path.plural);
  if (kind === undefined) {
    if (table.served().some(({ group }) => group === path.group)) throw noSuchResource();
    return undefined;
  }
  const { namespace, name, subresource } = path;
  const misplaced = kind.namespaced ? namespace === "" && name !== "" : namespace !== "";
  if (misplaced || (path.rest !== "" && subresource !== "proxy")) throw noSuchResource();
  const verbs = subresource === "" ? kind.verbs : kind.subresources[subresource]?.verbs;
  if (verbs === undefined) throw noSuchResource();
  // A namespaced kind can only be read across namespaces.
  const acrossNamespaces = kind.namespaced && namespace === "" && verb !== "list" && verb !== "watch";
  const known = name === "" ? collectionVerbs : subresource === "" ? objectVerbs : subresourceVerbs;
  const fits = verb === "watch" || Object.values(known).includes(verb);
  if (!fits || !verbs.includes(verb) || acrossNamespaces) throw methodNotAllowed();
  return { kind, namespace, name, subresource, verb };
}
