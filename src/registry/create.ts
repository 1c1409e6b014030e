import { applyDefaults } from "../api/defaults.ts";
import type { Kind } from "../api/kinds.ts";
import { recordUpdate } from "../api/managed.ts";
import type { KubeObject } from "../api/object.ts";
import { ApiError, alreadyExists, invalid } from "../api/status.ts";
import { hasGeneration } from "../api/strategy.ts";
import type { ManagedFieldsEntry } from "../api/types.gen.ts";
import { validateObject, warningsFor } from "../api/validate.ts";
import { rfc3339 } from "../base/clock.ts";
import { suffix, uuid } from "../base/random.ts";
import { accept, place } from "./accept.ts";
import { admit } from "./admission.ts";
import type { Identity } from "./client.ts";
import { type Context, commit, subjectOf, unstored } from "./context.ts";
import { isInternal } from "./kind-table.ts";
import type { RequestOptions } from "./requests.ts";
import { allocateAddresses } from "./services.ts";
import type { Stored } from "./stored.ts";
import { asVersion, convert } from "./versions.ts";

/** A generated name that is taken is drawn again so often. */
const namesMax = 8;
/** So that a generated name stays a valid one whatever the base. */
const baseLengthMax = 58;

export type Created = { stored: Stored; warnings: string[] };

/** As a POST. @throws ApiError */
export async function create(
  context: Context,
  kind: Kind,
  namespace: string,
  value: unknown,
  options: RequestOptions,
): Promise<Created> {
  for (let attempt = 1; ; attempt++) {
    const { object, warnings } = accept(kind, value, options);
    const created = await createOnce(context, kind, namespace, object, options);
    if (created !== undefined) {
      return { stored: created, warnings: [...warnings, ...warn(kind, created.object)] };
    }
    const { name } = object.metadata;
    if (attempt < namesMax && isGenerated(value)) continue;
    const there = context.cache.find(context.kinds.storedAs(kind).resource, namespace, name);
    const taken = alreadyExists(subjectOf(kind, name), there?.object.metadata.deletionTimestamp !== undefined);
    taken.warnings = [...warnings, ...warn(kind, object)];
    throw taken;
  }
}

const isGenerated = (value: unknown): boolean => {
  const { metadata } = value as { metadata?: { name?: string; generateName?: string } }; // Decoded just before.
  return (metadata?.name ?? "") === "" && (metadata?.generateName ?? "") !== "";
};

/** `undefined`: the name is taken. */
async function createOnce(
  context: Context,
  requested: Kind,
  namespace: string,
  body: KubeObject,
  options: RequestOptions,
): Promise<Stored | undefined> {
  if (body.metadata.resourceVersion !== undefined) {
    throw new ApiError(500, "", "resourceVersion should not be set on objects to be created");
  }
  place(requested, body, namespace);
  claim(context, requested, body);
  if (!isInternal(requested)) applyDefaults(requested, body, "defaults");
  const managedFields = isInternal(requested)
    ? undefined
    : options.fieldsManaged
      ? body.metadata.managedFields
      : recordUpdate(requested, undefined, body, who(context, options));
  const kind = context.kinds.storedAs(requested);
  const object = convert(body, kind);
  setManagedFields(object, managedFields);
  admit(context, kind, object);
  if (!isInternal(kind)) {
    applyDefaults(kind, object, "strategy");
    const identity = context.identify?.(kind.resource, object);
    // Waited for only where somebody has to ask elsewhere: creates come by the thousand.
    identify(object, identity instanceof Promise ? await identity : identity);
    const problems = validateObject(kind, object);
    if (problems.length > 0) throw invalid(kind.group, kind.kind, object.metadata.name ?? "", problems);
  }
  const { name } = object.metadata;
  if (context.cache.find(kind.resource, object.metadata.namespace ?? "", name) !== undefined) return undefined;
  const settle = allocateAddresses(context, kind, object);
  try {
    if (options.dryRun) return asVersion(unstored(kind, object, 0), requested);
    const namespace = object.metadata.namespace ?? "";
    const stored = await commit(context, { kind, namespace, name, object, expect: "absent" });
    return stored && asVersion(stored, requested);
  } finally {
    settle();
  }
}

/** What only the server may say of a new object. */
function claim(context: Context, kind: Kind, { metadata }: KubeObject): void {
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
  if (hasGeneration(kind)) metadata.generation = 1;
  metadata.uid = uuid(context.random);
  metadata.creationTimestamp = rfc3339(context.clock.wallMs());
  if ((metadata.name ?? "") === "" && metadata.generateName !== undefined) {
    metadata.name = metadata.generateName.slice(0, baseLengthMax) + suffix(context.random);
  }
}

/** Lets a new object take the place of one that was lost. */
function identify({ metadata }: KubeObject, identity: Identity | undefined): void {
  if (!identity) return;
  metadata.uid = identity.uid;
  if (metadata.generateName !== undefined) metadata.name = identity.name;
  if (identity.annotations) metadata.annotations = { ...metadata.annotations, ...identity.annotations };
}

export const who = (context: Context, options: RequestOptions & { subresource?: string }) => ({
  manager: options.manager,
  time: rfc3339(context.clock.wallMs()),
  ...(options.subresource !== undefined && { subresource: options.subresource }),
});

export function setManagedFields({ metadata }: KubeObject, entries: readonly ManagedFieldsEntry[] | undefined): void {
  if (entries === undefined || entries.length === 0) delete metadata.managedFields;
  else metadata.managedFields = [...entries];
}

export const warn = (kind: Kind, object: KubeObject, old?: KubeObject): string[] =>
  isInternal(kind) ? [] : warningsFor(kind, object, old);
