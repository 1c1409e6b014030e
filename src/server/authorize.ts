import type { KubeObject } from "../api/object.ts";
import { ApiError } from "../api/status.ts";
import type { View } from "../registry/view.ts";
import type { User } from "./authenticate.ts";

/** What is asked for: something with an object or a kind, or with a path that is no resource. Verbs as in RBAC. */
export type Attributes =
  | {
      verb: string;
      group: string;
      /** The plural name alone; `*` only in reviews. */
      resource: string;
      subresource: string;
      namespace: string;
      name: string;
    }
  | { verb: string; path: string };

type Rule = {
  verbs?: readonly string[];
  apiGroups?: readonly string[];
  resources?: readonly string[];
  resourceNames?: readonly string[];
  nonResourceURLs?: readonly string[];
};

/** What everybody with an identity may do, whatever is bound: find out what the server serves and who they are. */
const forEverybody: readonly Rule[] = [
  {
    verbs: ["get"],
    nonResourceURLs: ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version", "/version/"],
  },
  { verbs: ["get"], nonResourceURLs: ["/healthz", "/livez", "/readyz"] },
  {
    verbs: ["create"],
    apiGroups: ["authorization.k8s.io"],
    resources: ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
  },
  { verbs: ["create"], apiGroups: ["authentication.k8s.io"], resources: ["selfsubjectreviews"] },
];

/** Paths that need no identity. */
const open = new Set(["/healthz", "/livez", "/readyz", "/version"]);

/** Whether the user may, by membership in `system:masters`, the basics, or a Role or ClusterRole bound to them. */
export function allowed(user: User, what: Attributes, view: View): boolean {
  if (user.groups.includes("system:masters")) return true;
  if ("path" in what && what.verb === "get" && open.has(what.path)) return true;
  if (!user.groups.includes("system:authenticated")) return false;
  return rulesOf(user, "namespace" in what ? what.namespace : "", view).some((rule) => grants(rule, what));
}

/** Every rule that holds for the user in the namespace. Empty `namespace`: only those that hold everywhere. */
export function rulesOf(user: User, namespace: string, view: View): readonly Rule[] {
  const rules = [...forEverybody];
  for (const binding of view.list("clusterrolebindings.rbac.authorization.k8s.io")) {
    if (binds(binding, user)) rules.push(...roleRules(binding, "", view));
  }
  if (namespace === "") return rules;
  for (const binding of view.list("rolebindings.rbac.authorization.k8s.io", namespace)) {
    if (binds(binding, user))
      rules.push(...roleRules(binding, namespace, view).filter((rule) => !rule.nonResourceURLs));
  }
  return rules;
}

type Subject = { kind: string; name: string; namespace?: string };

// The three readers below take objects that the API has validated against the schema table.
function binds(binding: KubeObject, user: User): boolean {
  const subjects = (binding["subjects"] ?? []) as readonly Subject[];
  return subjects.some(({ kind, name, namespace }) => {
    if (kind === "User") return name === user.name;
    if (kind === "Group") return user.groups.includes(name);
    return kind === "ServiceAccount" && user.name === `system:serviceaccount:${namespace ?? ""}:${name}`;
  });
}

function roleRules(binding: KubeObject, namespace: string, view: View): readonly Rule[] {
  const { kind, name } = binding["roleRef"] as { kind: string; name: string };
  const role =
    kind === "ClusterRole"
      ? view.get("clusterroles.rbac.authorization.k8s.io", "", name)
      : namespace !== "" && view.get("roles.rbac.authorization.k8s.io", namespace, name);
  return role ? ((role["rules"] ?? []) as readonly Rule[]) : [];
}

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes("*") || list.includes(value));

function grants(rule: Rule, what: Attributes): boolean {
  if (!has(rule.verbs, what.verb)) return false;
  if ("path" in what) {
    const { path } = what;
    return (rule.nonResourceURLs ?? []).some(
      (each) => each === "*" || each === path || (each.endsWith("*") && path.startsWith(each.slice(0, -1))),
    );
  }
  const resource = what.subresource === "" ? what.resource : `${what.resource}/${what.subresource}`;
  const anyParent = what.subresource !== "" && (rule.resources ?? []).includes(`*/${what.subresource}`);
  if (!has(rule.apiGroups, what.group) || !(has(rule.resources, resource) || anyParent)) return false;
  const { resourceNames = [] } = rule;
  return resourceNames.length === 0 || (what.name !== "" && resourceNames.includes(what.name));
}

/** The 403 for it, in Kubernetes' words. */
export function refusal(user: User, what: Attributes): ApiError {
  if ("path" in what) {
    const why = `User "${user.name}" cannot ${what.verb} path "${what.path}"`;
    return new ApiError(403, "Forbidden", `forbidden: ${why}`, {});
  }
  const resource = what.subresource === "" ? what.resource : `${what.resource}/${what.subresource}`;
  const where = what.namespace === "" ? "at the cluster scope" : `in the namespace "${what.namespace}"`;
  const why = `User "${user.name}" cannot ${what.verb} resource "${resource}" in API group "${what.group}" ${where}`;
  const qualified = what.group === "" ? resource : `${resource.split("/")[0]}.${what.group}${resourceTail(resource)}`;
  const details = {
    ...(what.name !== "" && { name: what.name }),
    ...(what.group !== "" && { group: what.group }),
    kind: what.resource,
  };
  const name = what.name === "" ? "" : `"${what.name}" `;
  return new ApiError(403, "Forbidden", `${qualified} ${name}is forbidden: ${why}`, details);
}

const resourceTail = (resource: string): string => {
  const at = resource.indexOf("/");
  return at < 0 ? "" : resource.slice(at);
};
