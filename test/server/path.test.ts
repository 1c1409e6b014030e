import { expect, test } from "vitest";
import { parsePath } from "../../src/server/path.ts";

const at = (more: object) => ({
  is: "resource",
  group: "",
  version: "v1",
  namespace: "",
  plural: "pods",
  name: "",
  subresource: "",
  rest: "",
  watch: false,
  ...more,
});

test.for([
  ["/api/v1/pods", at({})],
  ["/api/v1/namespaces/a/pods", at({ namespace: "a" })],
  ["/api/v1/namespaces/a/pods/b", at({ namespace: "a", name: "b" })],
  ["/api/v1/namespaces/a/pods/b/log", at({ namespace: "a", name: "b", subresource: "log" })],
  ["/api/v1/watch/namespaces/a/pods/b", at({ namespace: "a", name: "b", watch: true })],
  ["/api/v1/namespaces", at({ plural: "namespaces" })],
  ["/api/v1/namespaces/a", at({ plural: "namespaces", name: "a" })],
  ["/api/v1/namespaces/a/finalize", at({ plural: "namespaces", name: "a", subresource: "finalize" })],
  [
    "/api/v1/namespaces/a/services/b/proxy/c/d",
    at({ namespace: "a", plural: "services", name: "b", subresource: "proxy", rest: "c/d" }),
  ],
  [
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
    at({ group: "rbac.authorization.k8s.io", plural: "clusterroles", name: "system:node" }),
  ],
  ["/api", { is: "discovery", root: "api" }],
  ["/apis/", { is: "discovery", root: "apis" }],
  ["/api/v1", { is: "discovery", root: "api", group: "", version: "v1" }],
  ["/apis/apps", { is: "discovery", root: "apis", group: "apps" }],
  ["/apis/apps/v1", { is: "discovery", root: "apis", group: "apps", version: "v1" }],
  ["/healthz", { is: "other" }],
  ["/api/v1/namespaces/%zz/pods", { is: "other" }],
] as const)("%s", ([path, want]) => {
  expect(parsePath(path)).toEqual(want);
});
