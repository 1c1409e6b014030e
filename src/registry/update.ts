import { applyDefaults } from "../api/defaults.ts";
import { equal } from "../api/equal.ts";
import type { Kind } from "../api/kinds.ts";
import { recordUpdate } from "../api/managed.ts";
import type { KubeObject } from "../api/object.ts";
import { invalidValue } from "../api/problems.ts";
import { ApiError, badRequest, conflict, invalid, notFound, objectModified } from "../api/status.ts";
import { needsResourceVersion, prepareUpdate } from "../api/strategy.ts";
import { validateUpdate } from "../api/validate.ts";
import { accept, place } from "./accept.ts";
import { type Context, commit, subjectOf, unstored } from "./context.ts";
import { copyJson } from "./copy.ts";
import { create, setManagedFields, warn, who } from "./create.ts";
import { isEnded } from "./finalizers.ts";
import { isInternal } from "./kind-table.ts";
import type { UpdateOptions } from "./requests.ts";
import { allocateAddresses } from "./services.ts";
import type { Stored } from "./stored.ts";
import { asVersion, convert } from "./versions.ts";

/** Every attempt that fails is one that another writer won. */
const attemptsMax = 100;

export type Updated = { stored: Stored; created: boolean; warnings: string[] };
/** Makes the next version from a private copy of the present one, in the version of the kind that was asked for. */
export type ChangeObject = (current: KubeObject) => unknown;

/** As a PUT or PATCH. @throws ApiError */
export async function update(
  context: Context,
  kind: Kind,
  namespace: string,
  name: string,
  change: ChangeObject,
  options: UpdateOptions,
): Promise<Updated> {
  const { resource } = context.kinds.storedAs(kind);
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const current = context.cache.find(resource, namespace, name);
    if (current === undefined) {
      if (options.createAllowed !== true) throw notFound(subjectOf(kind, name));
      const metadata = { name, ...(kind.namespaced && { namespace }) };
      const value = change({ apiVersion: kind.apiVersion, kind: kind.kind, metadata });
      return { ...(await create(context, kind, namespace, value, options)), created: true };
    }
    const updated = await updateOnce(context, kind, current, change, options);
    if (updated !== undefined) return updated;
  }
  throw conflict(subjectOf(kind, name), objectModified);
}

/** `undefined`: another writer was first. */
async function updateOnce(
  context: Context,
  requested: Kind,
  current: Stored,
  change: ChangeObject,
  options: UpdateOptions,
): Promise<Updated | undefined> {
  const kind = context.kinds.storedAs(requested);
  const { object: body, warnings } = accept(requested, change(convert(privateCopy(current), requested)), options);
  const { name, namespace = "" } = current.object.metadata;
  checkIdentity(requested, body, current.object, options);
  if (!isInternal(requested)) applyDefaults(requested, body, "defaults");
  const object = prepare(kind, convert(body, kind), current.object, options.subresource);
  manage(context, requested, object, body, current.object, options);
  if (!isInternal(kind)) refuse(kind, object, current.object, options.subresource);
  if (options.subresource === undefined) warnings.push(...warn(kind, object, current.object));
  const settle = allocateAddresses(context, kind, object);
  try {
    const ended = isEnded(kind, object);
    if (!ended && isSame(object, current.object))
      return { stored: asVersion(current, requested), created: false, warnings };
    const write = { kind, namespace, name, expect: current.revision, ...(!ended && { object }) };
    const stored = options.dryRun ? unstored(kind, object, current.revision) : await commit(context, write, object);
    return stored && { stored: asVersion(stored, requested), created: false, warnings };
  } finally {
    settle();
  }
}

/**
 * With its fields in the order of the type, as Kubernetes shows a patched object. The owners of fields are shared:
 * they are many, and nobody changes them in place.
 */
function privateCopy({ object }: Stored): KubeObject {
  const { managedFields, ...ownMetadata } = object.metadata;
  const { resourceVersion, ...metadata } = copyJson(ownMetadata);
  const { name, generateName, namespace, uid, ...others } = metadata;
  const { metadata: _, ...body } = object;
  return {
    ...(copyJson(body) as KubeObject), // All of it but the metadata, which follow.
    metadata: {
      name,
      ...(generateName !== undefined && { generateName }),
      ...(namespace !== undefined && { namespace }),
      uid,
      resourceVersion,
      ...others,
      ...(managedFields && { managedFields }),
    },
  };
}

/** Whether writing `next` would change nothing. */
function isSame(next: KubeObject, current: KubeObject): boolean {
  const { resourceVersion: _, ...metadata } = current.metadata;
  const { resourceVersion: __, ...nextMetadata } = next.metadata;
  return equal({ ...next, metadata: nextMetadata }, { ...current, metadata });
}

/** What the writer may decide; a binding is decided by the server, as the whole object. */
function prepare(kind: Kind, next: KubeObject, current: KubeObject, subresource: string | undefined): KubeObject {
  if (subresource === "binding") return { ...next, metadata: current.metadata };
  return prepareUpdate(kind, next, current, subresource);
}

function checkIdentity(
  kind: Kind,
  body: KubeObject,
  { metadata: current }: KubeObject,
  { patched }: UpdateOptions,
): void {
  const { metadata } = body;
  if (metadata.name === undefined || metadata.name === "") metadata.name = current.name;
  if (metadata.name !== current.name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${current.name})`);
  }
  place(kind, body, current.namespace ?? "");
  const { uid = "", resourceVersion: given = "" } = metadata;
  if (uid !== "" && uid !== current.uid && patched !== true) {
    const path = `${kind.group === "" ? "" : `${kind.group}/`}${kind.plural}/${current.namespace ?? ""}`;
    const where = `Key: /registry/${path.replace(/\/$/, "")}/${current.name}, ResourceVersion: 0`;
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.uid}`;
    const text = `StorageError: invalid object, Code: 4, ${where}, AdditionalErrorMsg: ${why}`;
    throw conflict(subjectOf(kind, current.name), text);
  }
  if (given === "" && !isInternal(kind) && needsResourceVersion(kind)) {
    const problem = invalidValue("metadata.resourceVersion", 0, "must be specified for an update");
    throw invalid(kind.group, kind.plural, current.name, [problem]);
  }
  if (!/^\d*$/.test(given)) {
    throw new ApiError(500, "", `strconv.ParseUint: parsing ${JSON.stringify(given)}: invalid syntax`);
  }
  if (given !== "" && given !== "0" && given !== current.resourceVersion) {
    throw conflict(subjectOf(kind, current.name), objectModified);
  }
}

/** Notes which fields the writer owns now: those that it meant to change, in the version in which it wrote. */
function manage(
  context: Context,
  requested: Kind,
  object: KubeObject,
  meant: KubeObject,
  current: KubeObject,
  options: UpdateOptions,
): void {
  if (isInternal(requested) || options.subresource === "binding") return;
  if (options.fieldsManaged === true) {
    setManagedFields(object, object.metadata.managedFields);
    return;
  }
  setManagedFields(object, recordUpdate(requested, convert(current, requested), meant, who(context, options)));
}

function refuse(kind: Kind, object: KubeObject, current: KubeObject, subresource: string | undefined): void {
  const problems = validateUpdate(kind, object, current, subresource);
  if (problems.length > 0) throw invalid(kind.group, kind.kind, object.metadata.name, problems);
}
