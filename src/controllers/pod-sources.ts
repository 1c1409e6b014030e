import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { PersistentVolume, Pod } from "../api/types.gen.ts";
import { attachedAnnotation, claimNames, deviceAnnotation, diskUsers, volumeOf } from "../machines/disks.ts";
import type { View } from "../registry/view.ts";
import { keyOf } from "./owned.ts";

type Source = { resource: "configmaps" | "secrets" | "persistentvolumeclaims"; name: string };

const source = (resource: Source["resource"], name: string | undefined): Source[] =>
  name === undefined || name === "" ? [] : [{ resource, name }];

/** The ConfigMaps and Secrets that a Pod's files and variables come from, and the claims of its disks. */
function sourcesOf(pod: Pod): Source[] {
  const { spec } = pod;
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
  const disks = [...claimNames(pod).values()].flatMap((name) => source("persistentvolumeclaims", name));
  return [...variables, ...files, ...disks];
}

/** Another text whenever one of the Pod's sources has changed; empty without any. */
export const sourcesText = (view: View, pod: Pod): string =>
  sourcesOf(pod)
    .map(({ resource, name }) => {
      const namespace = pod.metadata.namespace ?? "";
      if (resource === "persistentvolumeclaims") return `${name}@${deviceOf(view, namespace, name)}`;
      const object = view.get(resource, namespace, name);
      return `${resource}/${name}@${object?.metadata.resourceVersion ?? ""}`;
    })
    .join();

/** Of a disk only its place matters. */
function deviceOf(view: View, namespace: string, name: string): string {
  const claim = view.get("persistentvolumeclaims", namespace, name);
  const { annotations = {} } = (claim && volumeOf(view, claim))?.metadata ?? {};
  return `${annotations[attachedAnnotation] ?? ""}${annotations[deviceAnnotation] ?? ""}`;
}

/** Pods that wait for the disk of this volume, or have it. */
export function podsOnDisk(view: View, volume: PersistentVolume): ObjectKey[] {
  const { namespace = "", name = "" } = volume.spec.claimRef ?? {};
  const claim = view.get("persistentvolumeclaims", namespace, name);
  return claim ? diskUsers(view, claim).map((pod) => keyOf("pods", pod)) : [];
}

export const hasToken = ({ spec }: Pod): boolean =>
  (spec.volumes ?? []).some(({ projected }) => projected?.sources?.some((each) => each.serviceAccountToken));

/** Pods with a machine that have something from this ConfigMap or Secret. */
export const usersOf = (view: View, resource: Source["resource"], { metadata }: KubeObject): ObjectKey[] =>
  view
    .list("pods", metadata.namespace)
    .filter((pod) => pod.spec.nodeName)
    .filter((pod) => sourcesOf(pod).some((each) => each.resource === resource && each.name === metadata.name))
    .map((pod) => keyOf("pods", pod));
