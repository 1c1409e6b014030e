import { qualifiedName } from "../names.ts";
import { invalidValue, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { ObjectFieldSelector, ResourceFieldSelector } from "../types.gen.ts";

/** Fields of a Pod that may be named at all. */
const known = new Set([
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.restartPolicy",
  "spec.serviceAccountName",
  "spec.schedulerName",
  "status.phase",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
]);
export const envFields = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
export const fileFields = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
];

/** A field of the Pod itself, for a variable or a file; `allowed` in alphabetical order. */
export function fieldRefProblems(ref: ObjectFieldSelector, allowed: readonly string[], at: string): FieldProblem[] {
  const field = `${at}.fieldPath`;
  if ((ref.apiVersion ?? "") === "") return [required(`${at}.apiVersion`)];
  if (ref.fieldPath === "") return [required(field)];
  const [, path = ref.fieldPath, key] = /^(metadata\.(?:annotations|labels))\['(.*)'\]$/.exec(ref.fieldPath) ?? [];
  if (!known.has(path)) {
    const why = `error converting fieldPath: field label not supported: ${ref.fieldPath}`;
    return [invalidValue(field, ref.fieldPath, why)];
  }
  if (key !== undefined) {
    const name = path === "metadata.annotations" ? key.toLowerCase() : key;
    return qualifiedName(name).map((why) => invalidValue(at, key, why));
  }
  return allowed.includes(path) ? [] : [notSupported(field, path, allowed)];
}

const sizes = ["ephemeral-storage", "memory"].flatMap((name) => [`limits.${name}`, `requests.${name}`]);
const resourceFields = ["limits.cpu", "requests.cpu", ...sizes].sort();

/** An amount of the container's resources; `needsContainer` where no container is meant by the place itself. */
export function resourceRefProblems(ref: ResourceFieldSelector, needsContainer: boolean, at: string): FieldProblem[] {
  if (needsContainer && (ref.containerName ?? "") === "") return [required(`${at}.containerName`)];
  if (ref.resource === "") return [required(`${at}.resource`)];
  if (!resourceFields.includes(ref.resource) && !/^(limits|requests)\.hugepages-/.test(ref.resource)) {
    return [notSupported(`${at}.resource`, ref.resource, resourceFields)];
  }
  return [];
}
