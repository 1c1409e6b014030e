import { tolerateUnready } from "./defaulting/admission.ts";
import { secretNames } from "./defaulting/creation.ts";
import { child, defaultsTable, ensureChild } from "./defaulting/rows.ts";
import { equal } from "./equal.ts";
import { type Kind, kinds } from "./kinds.ts";
import type { KubeObject } from "./object.ts";
import { completeServiceUpdate } from "./service-addresses.ts";
import { storedForm } from "./stored-form.ts";
import type { ObjectMeta, Service } from "./types.gen.ts";

const withGeneration = new Set(defaultsTable.generationOnCreate);
const idOf = (kind: Kind): string => `${kind.apiVersion}/${kind.kind}`;

/** Whether the server counts the versions of an object's spec; custom resources all do. */
export const hasGeneration = (kind: Kind): boolean => withGeneration.has(idOf(kind)) || !kinds.has(idOf(kind));

/** Whether status is written at `/status` only, so that a write of the object itself leaves it as it was. */
const hasStatus = (kind: Kind): boolean => kind.subresources["status"] !== undefined;

/** Whether a write without `metadata.resourceVersion` is refused. Custom resources are held to it too. */
export const needsResourceVersion = (kind: Kind): boolean =>
  !kinds.has(idOf(kind)) || strictVersions.has(kind.resource);
const strictVersions = new Set([
  "customresourcedefinitions.apiextensions.k8s.io",
  "poddisruptionbudgets.policy",
  "leases.coordination.k8s.io",
  "runtimeclasses.node.k8s.io",
]);

const withoutStatus = ({ metadata: _, status: __, ...rest }: KubeObject): object => rest;

/** Whether the change of an object itself counts as a new generation. */
function bumpsGeneration(kind: Kind, next: KubeObject, old: KubeObject): boolean {
  // Its value cannot change, and the rest does not count.
  if (kind.type === "scheduling.v1.PriorityClass") return false;
  if (kind.type === "apps.v1.Deployment" && !equal(next.metadata.annotations, old.metadata.annotations)) return true;
  if (hasStatus(kind)) return !equal(withoutStatus(next), withoutStatus(old));
  const { metadata: _, ...nextRest } = next;
  const { metadata: __, ...oldRest } = old;
  return !equal(nextRest, oldRest);
}

const serverOwned = ["generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] as const;

/** Metadata that only the server writes is what it was. */
function keepServerOwned(next: ObjectMeta, old: ObjectMeta): ObjectMeta {
  const kept = { ...next };
  for (const name of [...serverOwned, "selfLink"] as const) delete kept[name];
  for (const name of serverOwned) if (old[name] !== undefined) Object.assign(kept, { [name]: old[name] });
  return { ...kept, uid: next.uid ?? old.uid };
}

/** What a write to a subresource takes from the client; everything else stays as it was. */
function prepareSubresource(kind: Kind, next: KubeObject, old: KubeObject, subresource: string): KubeObject {
  const metadata = keepServerOwned(next.metadata, old.metadata);
  switch (subresource) {
    case "approval":
    case "status": {
      const rest = { ...old, status: next.status };
      if (!kinds.has(idOf(kind)))
        return { ...rest, metadata: { ...old.metadata, managedFields: metadata.managedFields } };
      const own = { ...metadata };
      if (old.metadata.ownerReferences) own.ownerReferences = old.metadata.ownerReferences;
      else delete own.ownerReferences;
      if (kind.type === "apps.v1.Deployment") {
        if (old.metadata.labels) own.labels = old.metadata.labels;
        else delete own.labels;
      }
      return { ...rest, metadata: own };
    }
    case "ephemeralcontainers": {
      const given = child(next, "spec")?.["ephemeralContainers"];
      return { ...old, metadata, spec: { ...child(old, "spec"), ephemeralContainers: given } };
    }
    default:
      return { ...next, metadata, status: old.status };
  }
}

const templateGeneration = "deprecated.daemonset.template.generation";

/** Counts the changes of a DaemonSet's template in its annotation. */
function countTemplates(next: KubeObject, old: KubeObject): void {
  const before = Number(old.metadata.annotations?.[templateGeneration] ?? 1);
  const changed = !equal(child(child(next, "spec"), "template"), child(child(old, "spec"), "template"));
  const count = String(changed ? before + 1 : before);
  next.metadata.annotations = { ...next.metadata.annotations, [templateGeneration]: count };
}

/** What a write of the object itself takes from the old one beyond metadata and status, by type. */
const completions: Readonly<Record<string, (next: KubeObject, old: KubeObject) => void>> = {
  "core.v1.Service": (next, old) => {
    next.spec = structuredClone(next.spec);
    completeServiceUpdate(next as unknown as Service, old as unknown as Service);
  },
  "core.v1.ServiceAccount": (next) => secretNames(next),
  "core.v1.Pod": (next) => {
    next.spec = { ...child(next, "spec") };
    tolerateUnready(ensureChild(next, "spec"));
  },
  "apps.v1.DaemonSet": countTemplates,
  "core.v1.Namespace": (next, old) => {
    next.spec = old.spec;
    const { labels, name = "" } = next.metadata;
    next.metadata.labels = { ...labels, "kubernetes.io/metadata.name": name };
  },
};

/**
 * The object that a write of `next` over `old` really means: server-owned metadata, and status or spec (whichever the
 * endpoint does not write), are the old ones; a changed spec counts up the generation. `next` has been
 * decoded and defaulted; it and `old` are left alone. What is not allowed to change is for `validateUpdate` to say afterwards.
 */
export function prepareUpdate(kind: Kind, next: KubeObject, old: KubeObject, subresource?: string): KubeObject {
  // A Deployment's annotations may be written with its status, which is no new generation.
  if (subresource === "status") return prepareSubresource(kind, next, old, subresource);
  if (subresource !== undefined) {
    return counted(kind, storedForm(kind, prepareSubresource(kind, next, old, subresource)), old);
  }
  const prepared: KubeObject = { ...next, metadata: keepServerOwned(next.metadata, old.metadata) };
  if (hasStatus(kind)) {
    if (old.status === undefined) delete prepared.status;
    else prepared.status = old.status;
  }
  completions[kind.type]?.(prepared, old);
  return counted(kind, storedForm(kind, prepared), old);
}

function counted(kind: Kind, next: KubeObject, old: KubeObject): KubeObject {
  if (!hasGeneration(kind) || !bumpsGeneration(kind, next, old)) return next;
  return { ...next, metadata: { ...next.metadata, generation: (old.metadata.generation ?? 0) + 1 } };
}
