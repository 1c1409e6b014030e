import { laidOver, withDeclaredFields, without } from "./apply-merge.ts";
import { parseBody } from "./body.ts";
import { emptyObject } from "./decode.ts";
import { compareObjects, unowned } from "./field-compare.ts";
import { isValues, Misfit, ownedBy, shownElement } from "./field-owned.ts";
import { difference, type FieldPath, type FieldSet, intersection, pathsOf, union } from "./field-set.ts";
import type { Kind } from "./kinds.ts";
import { entriesOf, ignoredFields, type Owner, ownersOf, recordUpdate } from "./managed.ts";
import type { KubeObject } from "./object.ts";
import { ApiError, badRequest } from "./status.ts";
import { structureOfKind } from "./structure.ts";
import type { ManagedFieldsEntry } from "./types.gen.ts";

/** Who applies, at which endpoint, when (RFC 3339), and whether others' fields are taken from them. */
export type Applier = { manager: string; subresource?: string; time: string; force: boolean };

/** What an apply comes to: an object that is still to be decoded, defaulted and checked, and its owners then. */
export type Applied = { object: Record<string, unknown>; managedFields: ManagedFieldsEntry[] };

type Config = Record<string, unknown>;
const lastAppliedName = "kubectl.kubernetes.io/last-applied-configuration";

/** The configuration in the body of an apply, which may be YAML or JSON. @throws ApiError 400 */
export function readConfig(kind: Kind, bytes: Uint8Array): Config {
  let value: unknown;
  try {
    value = parseBody(bytes, "application/yaml").value;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw badRequest(`error decoding YAML: error converting YAML to JSON: ${error.message}`);
  }
  if (!isValues(value)) throw badRequest("error decoding YAML: the configuration is no object");
  const [apiVersion, named] = [String(value["apiVersion"] ?? ""), String(value["kind"] ?? "")];
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  if (apiVersion === "" || named === "") throw badRequest(`invalid object type: ${group}/${version}, Kind=${named}`);
  if (apiVersion !== kind.apiVersion || named !== kind.kind) {
    throw badRequest(`invalid object type: ${group}/${version}, Kind=${named}`);
  }
  const { managedFields } = isValues(value["metadata"]) ? value["metadata"] : {};
  if (managedFields !== undefined && managedFields !== null) throw badRequest("metadata.managedFields must be nil");
  return value;
}

function statedFields(kind: Kind, config: Config, subresource: string | undefined): FieldSet | undefined {
  try {
    return ownedBy(structureOfKind(kind), config, unowned, ignoredFields(kind, subresource));
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    const { name = "", namespace = "" } = isValues(config["metadata"]) ? config["metadata"] : {};
    const type = `${kind.group}/${kind.version}, Kind=${kind.kind}`;
    const where = `(${namespace}/${name}; ${type})`;
    throw new ApiError(500, "", `failed to create typed patch object ${where}: ${error.message}`);
  }
}

const isApplier = (owner: Owner, kind: Kind, by: Applier): boolean =>
  owner.operation === "Apply" &&
  owner.manager === by.manager &&
  owner.apiVersion === kind.apiVersion &&
  (owner.subresource ?? "") === (by.subresource ?? "");

/** An object that nobody owned yet is, for the first who applies it, owned by the time before. */
function startingOwners(kind: Kind, live: KubeObject | undefined, time: string): Owner[] {
  if (!live) return [];
  const entries = live.metadata.managedFields ?? [];
  if (entries.length > 0) return ownersOf(entries);
  const { managedFields: _, ...metadata } = live.metadata;
  return ownersOf(recordUpdate(kind, undefined, { ...live, metadata }, { manager: "before-first-apply", time }));
}

type Conflict = { owner: Owner; path: FieldPath };

const ownerText = ({ manager, operation, apiVersion, subresource }: Owner): string => {
  const place = subresource ? ` with subresource ${JSON.stringify(subresource)}` : "";
  return `${JSON.stringify(manager)}${place}${operation === "Update" ? ` using ${apiVersion}` : ""}`;
};
const pathText = (path: FieldPath): string => path.map(shownElement).join("");

function refusal(conflicts: readonly Conflict[]): ApiError {
  const byOwner = new Map<string, string[]>();
  for (const { owner, path } of conflicts) {
    const text = ownerText(owner);
    byOwner.set(text, [...(byOwner.get(text) ?? []), pathText(path)]);
  }
  const owners = [...byOwner].sort(([a], [b]) => (a < b ? -1 : 1));
  const [[owner = "", [path = ""] = []] = []] = owners;
  const lists = owners.map(
    ([text, paths]) => `conflicts with ${text}:\n${paths.map((each) => `- ${each}`).join("\n")}`,
  );
  const message =
    conflicts.length === 1
      ? `Apply failed with 1 conflict: conflict with ${owner}: ${path}`
      : `Apply failed with ${conflicts.length} conflicts: ${lists.join("\n")}`;
  const causes = owners.flatMap(([text, paths]) =>
    paths.map((field) => ({ reason: "FieldManagerConflict", message: `conflict with ${text}`, field })),
  );
  return new ApiError(409, "Conflict", message, { causes });
}

const conflictsOf = (owners: readonly Owner[], changed: FieldSet | undefined): Conflict[] =>
  owners.flatMap((owner) => [...pathsOf(intersection(owner.fields, changed))].map((path) => ({ owner, path })));

/** Fields that the annotation of a client-side apply states and that still have its values. */
function lastApplied(kind: Kind, live: KubeObject): FieldSet | undefined {
  const text = live.metadata.annotations?.[lastAppliedName];
  if (text === undefined) return undefined;
  try {
    const config: unknown = JSON.parse(text);
    if (!isValues(config)) return undefined;
    const shape = structureOfKind(kind);
    const laid = laidOver(shape, live, config);
    const stated = ownedBy(shape, config, unowned, []);
    return difference(stated, isValues(laid) ? compareObjects(shape, live, laid).changed : undefined);
  } catch (error) {
    // Somebody wrote something else there.
    if (error instanceof SyntaxError || error instanceof Misfit) return undefined;
    throw error;
  }
}

/** kubectl may take over from itself what it has applied from its own side before. */
function isTakeover(kind: Kind, live: KubeObject | undefined, by: Applier, changed: FieldSet | undefined): boolean {
  if (by.manager !== "kubectl" || !live) return false;
  const own = lastApplied(kind, live);
  return own !== undefined && difference(changed, own) === undefined;
}

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isValues(value)) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])]));
};

/** Where the annotation of a client-side apply is kept, kubectl's own apply brings it up to date. */
function renewLastApplied(object: Config, config: Config, by: Applier): void {
  const metadata = object["metadata"];
  const annotations = isValues(metadata) ? metadata["annotations"] : undefined;
  if (by.manager !== "kubectl" || !isValues(annotations) || annotations[lastAppliedName] === undefined) return;
  const text = `${JSON.stringify(sorted(config))}\n`;
  if (isValues(metadata)) metadata["annotations"] = { ...annotations, [lastAppliedName]: text };
}

/** `merged` without what the applier stated last time, states no longer, and nobody else owns. */
function pruned(kind: Kind, merged: Config, last: FieldSet | undefined, owners: readonly Owner[]): Config {
  if (!last) return merged;
  const shape = structureOfKind(kind);
  const kept = owners.reduce<FieldSet | undefined>((all, { fields }) => union(all, fields), undefined);
  const dropped = difference(withDeclaredFields(shape, last), withDeclaredFields(shape, kept));
  const rest = without(shape, merged, dropped);
  return isValues(rest) ? rest : {};
}

/**
 * Server-side apply: `live` (undefined to create) changed to what `config` says, as `readConfig` gives it. Fields that
 * others own and that would change are a conflict, unless forced.
 * @throws ApiError 409 with every conflict, 500 for a configuration that does not fit the type
 */
export function applyPatch(kind: Kind, live: KubeObject | undefined, config: Config, by: Applier): Applied {
  const shape = structureOfKind(kind);
  const stated = statedFields(kind, config, by.subresource);
  const before: Config = { ...(live ?? emptyObject(kind)) };
  const starting = startingOwners(kind, live, by.time);
  const last = starting.find((owner) => isApplier(owner, kind, by));
  const others = starting.filter((owner) => owner !== last);
  const { time: _, ...known } = last ?? {};
  const applier: Owner = {
    ...known,
    manager: by.manager,
    operation: "Apply",
    apiVersion: kind.apiVersion,
    ...(by.subresource !== undefined && { subresource: by.subresource }),
    fields: stated,
  };
  const laid = laidOver(shape, before, config);
  const object = pruned(kind, isValues(laid) ? laid : {}, last?.fields, [...others, applier]);
  const { changed, removed } = compareObjects(shape, before, object, ignoredFields(kind, by.subresource));
  const conflicts = conflictsOf(others, changed);
  if (conflicts.length > 0 && !by.force) {
    const contested = others.reduce<FieldSet | undefined>(
      (all, { fields }) => union(all, intersection(fields, changed)),
      undefined,
    );
    if (!isTakeover(kind, live, by, contested)) throw refusal(conflicts);
  }
  const lost = union(changed, removed);
  const isSame = lost === undefined && live !== undefined;
  const time = isSame ? last?.time : by.time;
  const owners = others.map((owner) => ({ ...owner, fields: difference(owner.fields, lost) }));
  renewLastApplied(object, config, by);
  return { object, managedFields: entriesOf([...owners, { ...applier, ...(time !== undefined && { time }) }]) };
}
