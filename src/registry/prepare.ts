import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import type { Namespace, ObjectMeta, Pod } from "../api/types.gen.ts";
import { hasGeneration } from "./rules.ts";

/**
 * The next version of an object as far as the writer may decide it: what belongs to the server, or to another
 * subresource than the one written to, stays as it is. Shares parts with both.
 */
export function prepareUpdate(
  kind: Kind,
  next: KubeObject,
  current: KubeObject,
  subresource: string | undefined,
): KubeObject {
  const metadata = ownMetadata(next.metadata, current.metadata);
  if (subresource === "status") {
    if (kind.resource === "deployments.apps") keep(metadata, current.metadata, "labels");
    return withPart({ ...current, metadata }, "status", next.status);
  }
  if (subresource === "finalize") {
    const { finalizers } = (next as Namespace).spec ?? {}; // Decoded as a Namespace.
    const { finalizers: _, ...spec } = (current as Namespace).spec ?? {}; // Likewise.
    return { ...current, spec: { ...spec, ...(finalizers && { finalizers }) } };
  }
  if (subresource === "ephemeralcontainers") {
    const { ephemeralContainers } = (next as Pod).spec ?? {}; // Decoded as a Pod.
    const spec = { ...(current.spec as object), ...(ephemeralContainers && { ephemeralContainers }) };
    return grown(kind, { ...current, metadata: { ...current.metadata }, spec }, current);
  }
  const object = { ...next, metadata };
  return grown(kind, kind.subresources["status"] ? withPart(object, "status", current.status) : object, current);
}

const serverOwned = [
  "uid",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
] as const;

function ownMetadata(next: ObjectMeta, current: ObjectMeta): ObjectMeta {
  const metadata = { ...next };
  if (metadata.uid !== undefined && metadata.uid !== "") keep(metadata, current, ...serverOwned.slice(1));
  else keep(metadata, current, ...serverOwned);
  delete metadata.selfLink;
  delete metadata.resourceVersion;
  return metadata;
}

function keep(metadata: ObjectMeta, current: ObjectMeta, ...fields: readonly (keyof ObjectMeta)[]): void {
  for (const field of fields) {
    if (current[field] === undefined) delete metadata[field];
    else Object.assign(metadata, { [field]: current[field] });
  }
}

function withPart(object: KubeObject, field: "status", value: unknown): KubeObject {
  const { [field]: _, ...rest } = object;
  return { ...rest, ...(value !== undefined && { [field]: value }) };
}

/** Counts the generation up when more than metadata and status has changed; of a Deployment also with annotations. */
function grown(kind: Kind, next: KubeObject, current: KubeObject): KubeObject {
  if (!hasGeneration(kind)) return next;
  const told = (object: KubeObject): string => {
    const { metadata, status: _, ...rest } = object;
    return JSON.stringify(kind.resource === "deployments.apps" ? [rest, metadata.annotations ?? {}] : rest);
  };
  if (told(next) !== told(current)) next.metadata.generation = (current.metadata.generation ?? 0) + 1;
  return next;
}
