import { isDeepStrictEqual } from "node:util";
import { kinds } from "../api/kinds.ts";
import type { KubeObject, Resource } from "../api/object.ts";
import type { ConfigMap, Namespace, NamespaceCondition, ServiceAccount } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import type { View } from "../registry/view.ts";
import { keyOf } from "./owned.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";

export type NamespaceWorld = {
  namespace: Namespace;
  /** What every namespace has. */
  account?: ServiceAccount | undefined;
  authority?: ConfigMap | undefined;
  rootCertificate: string;
  /** Everything in a namespace that is ending, by resource. */
  content: ReadonlyMap<Resource, readonly KubeObject[]>;
};

const authorityName = "kube-root-ca.crt";
const lookAgainMs = 1_000;

/** Resources of which a namespace's content is made. */
const contentResources: readonly Resource[] = [
  ...new Set(
    [...kinds.values()]
      .filter(({ namespaced, verbs }) => namespaced && verbs.includes("delete"))
      .map(({ resource }) => resource),
  ),
];

/** Namespaces: what each of them has from the start, and the end of all that is in one. */
export const namespaceReconciler = (view: View, rootCertificate: string): Reconciler<NamespaceWorld> => ({
  name: "namespaces",
  watches: {
    namespaces: (object) => [keyOf("namespaces", object)],
    serviceaccounts: (object) => homeOf(object),
    configmaps: (object) => (object.metadata.name === authorityName ? homeOf(object) : []),
  },
  observe({ name }) {
    const namespace = view.get("namespaces", "", name);
    if (!namespace) return undefined;
    const isEnding = namespace.metadata.deletionTimestamp !== undefined;
    const content = contentResources.map((resource) => [resource, isEnding ? view.list(resource, name) : []] as const);
    return {
      namespace,
      account: view.get("serviceaccounts", name, "default"),
      authority: view.get("configmaps", name, authorityName),
      rootCertificate,
      content: new Map(content.filter(([, objects]) => objects.length > 0)),
    };
  },
  plan: planNamespace,
});

const homeOf = ({ metadata }: KubeObject) => [
  { resource: "namespaces", namespace: "", name: metadata.namespace ?? "" },
];

export function planNamespace(world: NamespaceWorld, nowMs: number): Plan {
  return world.namespace.metadata.deletionTimestamp === undefined ? planFurniture(world) : planEnd(world, nowMs);
}

function planFurniture({ namespace, account, authority, rootCertificate }: NamespaceWorld): Plan {
  const home = namespace.metadata.name;
  const actions: Action[] = [];
  if (!account) {
    const object = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: home } };
    actions.push({ do: "create", resource: "serviceaccounts", object });
  }
  const data = { "ca.crt": rootCertificate };
  if (authority && !isDeepStrictEqual(authority.data, data)) {
    actions.push({ do: "write", key: keyOf("configmaps", authority), next: { ...authority, data } });
  }
  if (!authority) {
    const description = "The certificate authority by which the API server is known; clients in Pods trust it.";
    const annotations = { "kubernetes.io/description": description };
    const metadata = { name: authorityName, namespace: home, annotations };
    actions.push({
      do: "create",
      resource: "configmaps",
      object: { apiVersion: "v1", kind: "ConfigMap", metadata, data },
    });
  }
  return { actions };
}

function planEnd({ namespace, content }: NamespaceWorld, nowMs: number): Plan {
  const key = keyOf("namespaces", namespace);
  const doomed = [...content].flatMap(([resource, objects]) =>
    objects
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map((object): Action => ({ do: "delete", key: keyOf(resource, object), uid: object.metadata.uid ?? "" })),
  );
  if (doomed.length > 0) return { actions: [{ do: "together", actions: doomed }], againInMs: 0 };
  if (content.size === 0) {
    const finalizers = (namespace.spec?.finalizers ?? []).filter((finalizer) => finalizer !== "kubernetes");
    const next = { ...namespace, spec: { ...namespace.spec, finalizers } };
    return { actions: [{ do: "write", key, next, subresource: "finalize" }] };
  }
  const conditions = conditionsOf(namespace, content, rfc3339(nowMs));
  if (isDeepStrictEqual(conditions, namespace.status?.conditions)) return { actions: [], againInMs: lookAgainMs };
  const next = { ...namespace, status: { ...namespace.status, conditions } };
  return { actions: [{ do: "write", key, next, subresource: "status" }], againInMs: lookAgainMs };
}

function conditionsOf(namespace: Namespace, content: NamespaceWorld["content"], now: string): NamespaceCondition[] {
  const counts = [...content].map(([resource, objects]) => {
    const [plural = "", ...group] = resource.split(".");
    return `${plural}.${group.join(".")} has ${objects.length} resource instances`;
  });
  const finalizers = new Map<string, number>();
  for (const { metadata } of [...content.values()].flat()) {
    for (const name of metadata.finalizers ?? []) finalizers.set(name, (finalizers.get(name) ?? 0) + 1);
  }
  const held = [...finalizers].sort().map(([name, count]) => `${name} in ${count} resource instances`);
  const said: Omit<NamespaceCondition, "lastTransitionTime">[] = [
    condition(
      "NamespaceDeletionDiscoveryFailure",
      false,
      "ResourcesDiscovered",
      "All resources successfully discovered",
    ),
    condition(
      "NamespaceDeletionGroupVersionParsingFailure",
      false,
      "ParsedGroupVersions",
      "All legacy kube types successfully parsed",
    ),
    condition(
      "NamespaceDeletionContentFailure",
      false,
      "ContentDeleted",
      "All content successfully deleted, may be waiting on finalization",
    ),
    condition(
      "NamespaceContentRemaining",
      true,
      "SomeResourcesRemain",
      `Some resources are remaining: ${counts.join(", ")}`,
    ),
    held.length > 0
      ? condition(
          "NamespaceFinalizersRemaining",
          true,
          "SomeFinalizersRemain",
          `Some content in the namespace has finalizers remaining: ${held.join(", ")}`,
        )
      : condition(
          "NamespaceFinalizersRemaining",
          false,
          "ContentHasNoFinalizers",
          "All content-preserving finalizers finished",
        ),
  ];
  return said.map((each) => {
    const before = namespace.status?.conditions?.find(({ type }) => type === each.type);
    const lastTransitionTime = before?.status === each.status ? (before.lastTransitionTime ?? now) : now;
    return { ...each, lastTransitionTime };
  });
}

const condition = (type: string, holds: boolean, reason: string, message: string) => ({
  type,
  status: holds ? "True" : "False",
  reason,
  message,
});
