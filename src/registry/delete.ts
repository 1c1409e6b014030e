import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { ApiError, conflict, invalid, notFound, objectModified } from "../api/status.ts";
import type { DeleteOptions, Namespace, ObjectMeta, Pod } from "../api/types.gen.ts";
import { parseTimeMs, rfc3339 } from "../base/clock.ts";
import { type Context, commit, subjectOf, unstored } from "./context.ts";
import { isEnded } from "./finalizers.ts";
import { list } from "./list.ts";
import { admitNamespaceDeletion } from "./namespaces.ts";
import type { RequestOptions, Selection } from "./requests.ts";
import type { Stored } from "./stored.ts";
import { asVersion } from "./versions.ts";

export type Deletion = Omit<DeleteOptions, "apiVersion" | "kind">;
/** `stored`: the object's last state, or the one in which it waits for grace and finalizers when not yet `deleted`. */
export type Deleted = { stored: Stored; deleted: boolean };

const attemptsMax = 100;
const defaultGraceSeconds = 30;
/** Their dependents stay unless the request says otherwise. */
const orphaning = new Set(["jobs.batch", "replicationcontrollers"]);

/** As a DELETE. @throws ApiError */
export async function remove(
  context: Context,
  requested: Kind,
  namespace: string,
  name: string,
  deletion: Deletion,
  options: RequestOptions,
): Promise<Deleted> {
  const kind = context.kinds.storedAs(requested);
  checkOptions(deletion);
  const dryRun = options.dryRun === true || (deletion.dryRun ?? []).length > 0;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const current = context.cache.find(kind.resource, namespace, name);
    if (current === undefined) throw notFound(subjectOf(requested, name));
    checkPreconditions(requested, current, deletion);
    admitNamespaceDeletion(kind, name);
    const { object, end } = planDeletion(kind, current.object, deletion, context.clock.wallMs());
    if (object === current.object && !end) return { stored: asVersion(current, requested), deleted: false };
    const write = { kind, namespace, name, expect: current.revision, ...(!end && { object }) };
    const stored = dryRun ? unstored(kind, object, current.revision) : await commit(context, write, object);
    if (stored !== undefined) return { stored: asVersion(stored, requested), deleted: end };
  }
  throw conflict(subjectOf(requested, name), objectModified);
}

function checkOptions({ orphanDependents, propagationPolicy }: Deletion): void {
  const refuse = (reason: "FieldValueInvalid" | "FieldValueNotSupported", message: string) =>
    invalid("meta.k8s.io", "DeleteOptions", "", [{ reason, message, field: "propagationPolicy" }]);
  if (propagationPolicy === undefined) return;
  if (orphanDependents !== undefined) {
    const why = "orphanDependents and deletionPropagation cannot be both set";
    throw refuse("FieldValueInvalid", `Invalid value: ${JSON.stringify(propagationPolicy)}: ${why}`);
  }
  if (!["Foreground", "Background", "Orphan"].includes(propagationPolicy)) {
    const supported = 'supported values: "Foreground", "Background", "Orphan", "nil"';
    throw refuse("FieldValueNotSupported", `Unsupported value: ${JSON.stringify(propagationPolicy)}: ${supported}`);
  }
}

function checkPreconditions(kind: Kind, current: Stored, { preconditions }: Deletion): void {
  const { uid, resourceVersion } = preconditions ?? {};
  const { metadata } = current.object;
  const subject = { group: kind.group, resource: kind.kind, name: metadata.name };
  if (uid !== undefined && uid !== metadata.uid) {
    const mismatch = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid})`;
    throw conflict(subject, `${mismatch}. The object might have been deleted and then recreated`);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const names = ["the ResourceVersion in the precondition", "the ResourceVersion in record"];
    const mismatch = `${names[0]} (${resourceVersion}) does not match ${names[1]} (${metadata.resourceVersion})`;
    throw conflict(subject, `${mismatch}. The object might have been modified`);
  }
}

/** What a DELETE makes of an object; the same object when there is nothing to change. */
function planDeletion(
  kind: Kind,
  current: KubeObject,
  deletion: Deletion,
  nowMs: number,
): { object: KubeObject; end: boolean } {
  const metadata = { ...current.metadata };
  const finalizers = propagation(kind, metadata.finalizers ?? [], deletion);
  if (finalizers.length > 0) metadata.finalizers = finalizers;
  else delete metadata.finalizers;
  const marked = metadata.deletionTimestamp !== undefined;
  if (kind.resource === "pods")
    grant(metadata, podGraceSeconds(current as Pod, deletion, marked), nowMs); // By its kind.
  else if (kind.resource === "namespaces") {
    metadata.deletionTimestamp ??= rfc3339(nowMs);
    const { status } = current as Namespace; // By its kind.
    const object = { ...current, metadata, status: { ...status, phase: "Terminating" } };
    // The first request only marks; what finds nothing left to wait for ends it.
    return marked ? { object: current, end: isEnded(kind, current) } : { object, end: false };
  } else if (finalizers.length === 0) return { object: current, end: true };
  else if (!marked) grant(metadata, 0, nowMs);
  if (!marked && metadata.generation !== undefined) metadata.generation++;
  const object = { ...current, metadata };
  const same = JSON.stringify(metadata) === JSON.stringify(current.metadata);
  return { object: same ? current : object, end: isEnded(kind, object) };
}

/** The finalizers that make the garbage collector wait for dependents, or set them free, come after the others. */
function propagation(kind: Kind, finalizers: readonly string[], deletion: Deletion): string[] {
  const { orphanDependents, propagationPolicy } = deletion;
  const asked =
    propagationPolicy ?? (orphanDependents === undefined ? undefined : orphanDependents ? "Orphan" : "Background");
  const present = finalizers.includes("orphan") || finalizers.includes("foregroundDeletion");
  if (asked === undefined && (present || !orphaning.has(kind.resource))) return [...finalizers];
  const others = finalizers.filter((finalizer) => finalizer !== "orphan" && finalizer !== "foregroundDeletion");
  if (asked === "Background") return others;
  return [...others, asked === "Foreground" ? "foregroundDeletion" : "orphan"];
}

/** `undefined`: the grace that the Pod already has. */
function podGraceSeconds({ metadata, spec, status }: Pod, deletion: Deletion, marked: boolean): number | undefined {
  const asked = deletion.gracePeriodSeconds;
  if (marked) {
    const { deletionGracePeriodSeconds: left = 0 } = metadata;
    return asked !== undefined && asked < left ? Math.max(asked, 0) : undefined;
  }
  if ((spec?.nodeName ?? "") === "" || status?.phase === "Succeeded" || status?.phase === "Failed") return 0;
  const seconds = asked ?? spec?.terminationGracePeriodSeconds ?? defaultGraceSeconds;
  return seconds < 0 ? 1 : seconds;
}

/** Grace counts from the first request; a later one may only take some of it away. */
function grant(metadata: ObjectMeta, graceSeconds: number | undefined, nowMs: number): void {
  if (graceSeconds === undefined) return;
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = metadata;
  const sinceMs = deletionTimestamp ? parseTimeMs(deletionTimestamp) - deletionGracePeriodSeconds * 1000 : nowMs;
  metadata.deletionTimestamp = rfc3339(sinceMs + graceSeconds * 1000);
  metadata.deletionGracePeriodSeconds = graceSeconds;
}

/** As a DELETE of a collection: all at once; the answer is in key order. @throws ApiError */
export async function removeCollection(
  context: Context,
  kind: Kind,
  query: Selection,
  deletion: Deletion,
  options: RequestOptions,
): Promise<readonly Stored[]> {
  const { items } = await list(context, kind, query);
  const removals = items.map(async ({ object: { metadata } }) => {
    try {
      const { stored } = await remove(context, kind, metadata.namespace ?? "", metadata.name, deletion, options);
      return [stored];
    } catch (error) {
      if (error instanceof ApiError && error.status.code === 404) return [];
      throw error;
    }
  });
  return (await Promise.all(removals)).flat();
}
