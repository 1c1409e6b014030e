import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { Pod } from "../api/types.gen.ts";
import type { View } from "../registry/view.ts";
import { keyOf } from "./owned.ts";

type Source = { resource: "configmaps" | "secrets"; name: string };

const source = (resource: Source["resource"], name: string | undefined): Source[] =>
  name === undefined || name === "" ? [] : [{ resource, name }];

/** The ConfigMaps and Secrets that a Pod's files and variables come from. */
function sourcesOf({ spec }: Pod): Source[] {
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const variables = containers.flatMap(({ env = [], envFrom = [] }) => [
    ...envFrom.flatMap(({ configMapRef, secretRef }) => [
      ...source("configmaps", configMapRef?.name),
      ...source("secrets", secretRef?.name),
    ]),
    ...env.flatMap(({ valueFrom }) => [
      ...source("configmaps", valueFrom?.configMapKeyRef?.name),
      ...source("secrets", valueFrom?.secretKeyRef?.name),
    ]),
  ]);
  const files = (spec.volumes ?? []).flatMap(({ configMap, secret, projected }) => [
    ...source("configmaps", configMap?.name),
    ...source("secrets", secret?.secretName),
    ...(projected?.sources ?? []).flatMap((each) => [
      ...source("configmaps", each.configMap?.name),
      ...source("secrets", each.secret?.name),
    ]),
  ]);
  return [...variables, ...files];
}

/** Another text whenever one of the Pod's sources has changed; empty without any. */
export const sourcesText = (view: View, pod: Pod): string =>
  sourcesOf(pod)
    .map(({ resource, name }) => {
      const object = view.get(resource, pod.metadata.namespace ?? "", name);
      return `${resource}/${name}@${object?.metadata.resourceVersion ?? ""}`;
    })
    .join();

export const hasToken = ({ spec }: Pod): boolean =>
  (spec.volumes ?? []).some(({ projected }) => projected?.sources?.some((each) => each.serviceAccountToken));

/** Pods with a machine that have something from this ConfigMap or Secret. */
export const usersOf = (view: View, resource: Source["resource"], { metadata }: KubeObject): ObjectKey[] =>
  view
    .list("pods", metadata.namespace)
    .filter((pod) => pod.spec.nodeName)
    .filter((pod) => sourcesOf(pod).some((each) => each.resource === resource && each.name === metadata.name))
    .map((pod) => keyOf("pods", pod));
