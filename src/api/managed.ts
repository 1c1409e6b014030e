import { parseTimeMs } from "../base/clock.ts";
import { emptyObject } from "./decode.ts";
import { compareObjects } from "./field-compare.ts";
import { difference, type FieldSet, union } from "./field-set.ts";
import { type Kind, kinds } from "./kinds.ts";
import type { KubeObject } from "./object.ts";
import { structureOfKind } from "./structure.ts";
import type { ManagedFieldsEntry } from "./types.gen.ts";

/** Who writes, at which endpoint, when (RFC 3339). */
export type Writer = { manager: string; subresource?: string; time: string };

/** An owner and its fields; `fields` undefined when it has none left. */
export type Owner = Omit<ManagedFieldsEntry, "fieldsV1" | "fieldsType"> & { fields: FieldSet | undefined };

/** More owners by Update than this are merged, the longest untouched ones first. */
const updatersMax = 10;

export const ownersOf = (entries: readonly ManagedFieldsEntry[]): Owner[] =>
  entries.map(({ fieldsV1, fieldsType: _, ...entry }) => ({ ...entry, fields: fieldsV1 as FieldSet | undefined }));

const seconds = (time: string | undefined): number => (time === undefined ? 0 : Math.floor(parseTimeMs(time) / 1000));
const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const compareOwners = (a: Owner, b: Owner): number =>
  compareTexts(a.operation ?? "", b.operation ?? "") ||
  seconds(a.time) - seconds(b.time) ||
  compareTexts(a.manager ?? "", b.manager ?? "") ||
  compareTexts(a.apiVersion ?? "", b.apiVersion ?? "") ||
  compareTexts(a.subresource ?? "", b.subresource ?? "");

/** Merges the oldest owners by Update into one a version, until no more than ten are left. */
function cap(owners: Owner[]): Owner[] {
  const updaters = owners.filter(({ operation }) => operation === "Update").sort(compareOwners);
  let excess = updaters.length - updatersMax;
  if (excess <= 0) return owners;
  const kept = new Set(owners);
  const firsts = new Map<string, Owner>();
  for (const owner of updaters) {
    if (excess <= 0) break;
    const { apiVersion = "" } = owner;
    const first = firsts.get(apiVersion);
    if (!first) {
      firsts.set(apiVersion, owner);
      continue;
    }
    kept.delete(first);
    kept.delete(owner);
    const { subresource: _, ...rest } = owner;
    const bucket = { ...rest, manager: "ancient-changes", fields: union(first.fields, owner.fields) };
    kept.add(bucket);
    firsts.set(apiVersion, bucket);
    excess--;
  }
  return [...kept];
}

/** Owners in the order and the form in which objects carry them; those without fields are left out. */
export function entriesOf(owners: readonly Owner[]): ManagedFieldsEntry[] {
  const entries: ManagedFieldsEntry[] = [];
  for (const { fields, subresource, time, ...owner } of cap([...owners]).sort(compareOwners)) {
    if (!fields) continue;
    entries.push({
      ...owner,
      ...(time !== undefined && { time }),
      fieldsType: "FieldsV1",
      fieldsV1: fields,
      ...(subresource !== undefined && subresource !== "" && { subresource }),
    });
  }
  return entries;
}

/** Sent by a client, either of these clears an object's owners. */
const isReset = (entries: readonly ManagedFieldsEntry[] | undefined): boolean =>
  entries !== undefined && (entries.length === 0 || (entries.length === 1 && isBlank(entries[0])));
const isBlank = (entry: ManagedFieldsEntry | undefined): boolean => Object.keys(entry ?? {}).length === 0;

/** The entries to start from: the client's own, where it sent some, else those of the stored object. */
function startingEntries(
  before: KubeObject | undefined,
  after: KubeObject,
  isSubresource: boolean,
): readonly ManagedFieldsEntry[] {
  const stored = before?.metadata.managedFields ?? [];
  const sent = after.metadata.managedFields;
  if (isSubresource || sent === undefined) return stored;
  return isReset(sent) ? [] : sent;
}

/** Top-level fields that a write at this endpoint does not write. */
export function ignoredFields(kind: Kind, subresource: string | undefined): readonly string[] {
  const isStatus = subresource === "status";
  if (!isStatus) return kind.subresources["status"] ? ["status"] : [];
  return kinds.has(`${kind.apiVersion}/${kind.kind}`) ? ["spec"] : ["spec", "metadata"];
}

/**
 * The owners of an object's fields after a write that is no apply: changed fields move to the writer. `before`: the
 * stored object, undefined on creation. `after`: what the writer means, decoded and defaulted, before admission and
 * strategy have added theirs. A write that changes nothing answers what `before` has.
 */
export function recordUpdate(
  kind: Kind,
  before: KubeObject | undefined,
  after: KubeObject,
  by: Writer,
): ManagedFieldsEntry[] {
  const isSubresource = by.subresource !== undefined && by.subresource !== "";
  const entries = startingEntries(before, after, isSubresource);
  // Once its owners are cleared, an object has none until somebody applies it.
  if (before && entries.length === 0) return [];
  const ignored = ignoredFields(kind, by.subresource);
  const { changed, removed } = compareObjects(structureOfKind(kind), before ?? emptyObject(kind), after, ignored);
  if (!changed && !removed) return [...entries];
  const lost = union(changed, removed);
  const owners = ownersOf(entries).map((owner) => ({ ...owner, fields: difference(owner.fields, lost) }));
  if (!changed) return entriesOf(owners);
  const isWriter = (owner: Owner): boolean =>
    owner.manager === by.manager &&
    owner.operation === "Update" &&
    owner.apiVersion === kind.apiVersion &&
    (owner.subresource ?? "") === (by.subresource ?? "");
  const own = owners.find(isWriter);
  const mine: Owner = {
    manager: by.manager,
    operation: "Update",
    apiVersion: kind.apiVersion,
    ...(by.subresource !== "scale" && { time: by.time }),
    ...(isSubresource && { subresource: by.subresource }),
    fields: union(own?.fields, changed),
  };
  return entriesOf([...owners.filter((owner) => !isWriter(owner)), mine]);
}
