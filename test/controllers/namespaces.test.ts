import { expect, test } from "vitest";
import type { KubeObject } from "../../src/api/object.ts";
import type { Namespace } from "../../src/api/types.gen.ts";
import { type NamespaceWorld, planNamespace } from "../../src/controllers/namespaces.ts";
import type { Action } from "../../src/controllers/reconciler.ts";

const nowMs = Date.parse("2026-01-01T01:00:00Z");
const namespace = (more: Partial<Namespace["metadata"]> = {}): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: "team", uid: "n", resourceVersion: "1", ...more },
  spec: { finalizers: ["kubernetes"] },
  status: { phase: "Active" },
});
const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } };
const authority = (text = "CA"): NamespaceWorld["authority"] => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "kube-root-ca.crt", namespace: "team", resourceVersion: "1" },
  data: { "ca.crt": text },
});
const world = (more: Partial<NamespaceWorld> = {}): NamespaceWorld => ({
  namespace: namespace(),
  account,
  authority: authority(),
  rootCertificate: "CA",
  content: new Map(),
  ...more,
});
const ending = namespace({ deletionTimestamp: "2026-01-01T00:59:00Z" });
const object = (more: Partial<KubeObject["metadata"]> = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "a", namespace: "team", uid: "a", ...more },
});
const held = object({ deletionTimestamp: "2026-01-01T00:59:01Z", finalizers: ["x.io/a"] });
const told = (actions: readonly Action[]): string =>
  actions
    .flatMap((action) => (action.do === "together" ? action.actions : [action]))
    .map((action) => {
      if (action.do === "create") return `create ${action.resource}`;
      if (action.do === "delete") return `delete ${action.key.name}`;
      return action.do === "write" ? `write ${action.key.resource} ${action.subresource ?? ""}`.trim() : action.do;
    })
    .join(", ");

test.for<[string, NamespaceWorld, string]>([
  ["rests when it has what every namespace has", world(), ""],
  ["is furnished", world({ account: undefined, authority: undefined }), "create serviceaccounts, create configmaps"],
  ["gets its certificate back", world({ authority: authority("another") }), "write configmaps"],
  [
    "takes all that is in it along",
    world({ namespace: ending, content: new Map([["configmaps", [object()]]]) }),
    "delete a",
  ],
  [
    "says what holds it",
    world({ namespace: ending, content: new Map([["configmaps", [held]]]) }),
    "write namespaces status",
  ],
  ["ends when it is empty", world({ namespace: ending }), "write namespaces finalize"],
])("a namespace %s", ([_name, given, want]) => {
  expect(told(planNamespace(given, nowMs).actions)).toBe(want);
});

// In the words of the real controller, from the recordings of Kubernetes 1.36.
test("an ending namespace tells what remains", () => {
  const { actions } = planNamespace(world({ namespace: ending, content: new Map([["configmaps", [held]]]) }), nowMs);
  const [write] = actions;
  const status = write?.do === "write" ? (write.next as Namespace).status : undefined;
  expect(status?.conditions?.map(({ type, status: is, reason, message }) => [type, is, reason, message])).toEqual([
    ["NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"],
    [
      "NamespaceDeletionGroupVersionParsingFailure",
      "False",
      "ParsedGroupVersions",
      "All legacy kube types successfully parsed",
    ],
    [
      "NamespaceDeletionContentFailure",
      "False",
      "ContentDeleted",
      "All content successfully deleted, may be waiting on finalization",
    ],
    [
      "NamespaceContentRemaining",
      "True",
      "SomeResourcesRemain",
      "Some resources are remaining: configmaps. has 1 resource instances",
    ],
    [
      "NamespaceFinalizersRemaining",
      "True",
      "SomeFinalizersRemain",
      "Some content in the namespace has finalizers remaining: x.io/a in 1 resource instances",
    ],
  ]);
});
