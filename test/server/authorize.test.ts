import { expect, test } from "vitest";
import type { KubeObject } from "../../src/api/object.ts";
import type { View } from "../../src/registry/view.ts";
import { allowed, refusal } from "../../src/server/authorize.ts";

const rbac = "rbac.authorization.k8s.io/v1";
const rule = (verbs: string[], resources: string[], more: object = {}) => ({
  apiGroups: [""],
  verbs,
  resources,
  ...more,
});
const role = (kind: string, name: string, rules: object[], namespace?: string): KubeObject => ({
  apiVersion: rbac,
  kind,
  metadata: { name, ...(namespace !== undefined && { namespace }) },
  rules,
});
const binding = (
  kind: string,
  roleKind: string,
  roleName: string,
  subject: object,
  namespace?: string,
): KubeObject => ({
  apiVersion: rbac,
  kind,
  metadata: { name: "b", ...(namespace !== undefined && { namespace }) },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: roleKind, name: roleName },
  subjects: [subject],
});

/** A view of these objects alone. */
function viewOf(objects: readonly KubeObject[]): View {
  const of = (resource: string, namespace?: string) =>
    objects.filter(
      ({ kind, metadata }) =>
        resource === `${kind.toLowerCase()}s.rbac.authorization.k8s.io` &&
        (namespace === undefined || (metadata.namespace ?? "") === namespace),
    );
  return {
    list: of,
    get: (resource: string, namespace: string, name: string) =>
      of(resource, namespace).find(({ metadata }) => metadata.name === name),
    controlledBy: () => [],
  } as unknown as View;
}

const user = (name: string, ...groups: string[]) => ({
  name,
  uid: "",
  groups: [...groups, "system:authenticated"],
  extra: {},
});
const robot = user("system:serviceaccount:ns:robot", "system:serviceaccounts", "system:serviceaccounts:ns");
const ask = (verb: string, resource: string, namespace = "ns", name = "", subresource = "") => ({
  verb,
  group: "",
  resource,
  subresource,
  namespace,
  name,
});
const sa = { kind: "ServiceAccount", name: "robot", namespace: "ns" };
const view = viewOf([
  role("Role", "reader", [rule(["get", "list"], ["pods", "pods/log"])], "ns"),
  binding("RoleBinding", "Role", "reader", sa, "ns"),
  role("ClusterRole", "secrets", [rule(["*"], ["secrets"], { resourceNames: ["one"] })]),
  binding("RoleBinding", "ClusterRole", "secrets", sa, "ns"),
  role("ClusterRole", "nodes", [rule(["get"], ["nodes"]), { verbs: ["get"], nonResourceURLs: ["/metrics/*"] }]),
  binding("ClusterRoleBinding", "ClusterRole", "nodes", { kind: "Group", name: "ops" }),
]);

test.for([
  ["a Role in its namespace", robot, ask("get", "pods"), true],
  ["a Role in another namespace", robot, ask("get", "pods", "other"), false],
  ["a verb that is not given", robot, ask("delete", "pods"), false],
  ["a subresource that is given", robot, ask("get", "pods", "ns", "a", "log"), true],
  ["a subresource that is not given", robot, ask("get", "pods", "ns", "a", "exec"), false],
  ["a ClusterRole bound in a namespace, by name", robot, ask("update", "secrets", "ns", "one"), true],
  ["another name", robot, ask("update", "secrets", "ns", "two"), false],
  ["a group's ClusterRole", user("jo", "ops"), ask("get", "nodes", ""), true],
  ["somebody outside the group", user("jo"), ask("get", "nodes", ""), false],
  ["masters", user("admin", "system:masters"), ask("escalate", "clusterroles", ""), true],
  ["a path by prefix", user("jo", "ops"), { verb: "get", path: "/metrics/a" }, true],
  ["discovery for everybody", user("jo"), { verb: "get", path: "/apis/apps/v1" }, true],
  ["another path", user("jo"), { verb: "get", path: "/debug" }, false],
] as const)("%s", ([, who, what, want]) => {
  expect(allowed(who, what, view)).toBe(want);
});

test("nobody anonymous gets further than health and version", () => {
  const nobody = { name: "system:anonymous", uid: "", groups: ["system:unauthenticated"], extra: {} };
  expect(allowed(nobody, { verb: "get", path: "/healthz" }, view)).toBe(true);
  expect(allowed(nobody, { verb: "get", path: "/version" }, view)).toBe(true);
  expect(allowed(nobody, { verb: "get", path: "/api" }, view)).toBe(false);
  expect(allowed(nobody, ask("get", "pods"), view)).toBe(false);
});

test.for([
  [
    ask("list", "pods"),
    'pods is forbidden: User "jo" cannot list resource "pods" in API group "" in the namespace "ns"',
  ],
  [
    ask("get", "nodes", "", "a"),
    'nodes "a" is forbidden: User "jo" cannot get resource "nodes" in API group "" at the cluster scope',
  ],
  [{ verb: "get", path: "/debug" }, 'forbidden: User "jo" cannot get path "/debug"'],
] as const)("is refused in Kubernetes' words (%#)", ([what, want]) => {
  expect(refusal(user("jo"), what).message).toBe(want);
});
