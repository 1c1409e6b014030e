import { equal } from "../equal.ts";
import type { Kind } from "../kinds.ts";
import { dnsLabel, dnsSubdomain, labelValue, pathSegment, qualifiedName } from "../names.ts";
import { forbiddenField, immutable, invalidValue, nonNegative, required, tooLong } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { ObjectMeta, OwnerReference } from "../types.gen.ts";

type NameCheck = (name: string) => string[];

const cronJobName: NameCheck = (name) => [
  ...(name.length > 52 ? ["must be no more than 52 characters"] : []),
  ...dnsSubdomain(name),
];

/** Kinds whose names have another form than a DNS subdomain. */
const nameChecks: Readonly<Record<string, NameCheck>> = {
  namespaces: dnsLabel,
  services: dnsLabel,
  "cronjobs.batch": cronJobName,
  "roles.rbac.authorization.k8s.io": pathSegment,
  "rolebindings.rbac.authorization.k8s.io": pathSegment,
  "clusterroles.rbac.authorization.k8s.io": pathSegment,
  "clusterrolebindings.rbac.authorization.k8s.io": pathSegment,
  "customresourcedefinitions.apiextensions.k8s.io": () => [],
};

/** A generated name goes on after its prefix, so a hyphen may end the prefix. */
const prefixStem = (prefix: string): string =>
  prefix.length > 1 && prefix.endsWith("-") ? `${prefix.slice(0, -2)}a` : prefix;

const annotationBytesMax = 256 * 1024;

export function labelProblems(labels: Record<string, string> | undefined | null, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  for (const key in labels) {
    for (const why of qualifiedName(key)) problems.push(invalidValue(at, key, why));
    const value = labels[key] ?? "";
    for (const why of labelValue(value)) problems.push(invalidValue(at, value, why));
  }
  return problems;
}

export function annotationProblems(annotations: Record<string, string> | undefined, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  let bytes = 0;
  for (const key in annotations) {
    for (const why of qualifiedName(key.toLowerCase())) problems.push(invalidValue(at, key, why));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(annotations[key] ?? "");
  }
  if (bytes > annotationBytesMax) problems.push(tooLong(at, annotationBytesMax));
  return problems;
}

function ownerProblems(owners: readonly OwnerReference[], at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  let controller: OwnerReference | undefined;
  for (const owner of owners) {
    if (owner.apiVersion.split("/").at(-1) === "") {
      problems.push(invalidValue(`${at}.apiVersion`, owner.apiVersion, "version must not be empty"));
    }
    for (const name of ["kind", "name", "uid"] as const) {
      if (owner[name] === "") problems.push(invalidValue(`${at}.${name}`, "", "must not be empty"));
    }
    if (owner.apiVersion === "v1" && owner.kind === "Event") {
      problems.push(invalidValue(at, owner, "/v1, Kind=Event is disallowed from being an owner"));
    }
    if (!owner.controller) continue;
    if (controller) {
      const pair = `${controller.kind}/${controller.name} and ${owner.kind}/${owner.name}`;
      const why = `Only one reference can have Controller set to true. Found "true" in references for ${pair}`;
      problems.push(invalidValue(at, owners, why));
    } else controller = owner;
  }
  return problems;
}

const standardFinalizers = new Set(["orphan", "foregroundDeletion", "kubernetes"]);

function finalizerProblems(finalizers: readonly string[], at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  for (const [index, name] of finalizers.entries()) {
    const field = `${at}[${index}]`;
    for (const why of qualifiedName(name)) problems.push(invalidValue(at, name, why));
    if (!name.includes("/") && !standardFinalizers.has(name)) {
      const why = "name is neither a standard finalizer name nor is it fully qualified";
      problems.push(invalidValue(field, name, why));
    }
  }
  if (finalizers.includes("orphan") && finalizers.includes("foregroundDeletion")) {
    problems.push(invalidValue(at, finalizers, "finalizer orphan and foregroundDeletion cannot be both set"));
  }
  return problems;
}

/** What is wrong with an object's metadata on its own. */
export function metadataProblems(kind: Kind, metadata: ObjectMeta): FieldProblem[] {
  const at = "metadata";
  const check = nameChecks[kind.resource] ?? dnsSubdomain;
  const problems: FieldProblem[] = [];
  const { name = "", generateName, namespace = "", finalizers } = metadata;
  if (generateName) {
    for (const why of check(prefixStem(generateName))) {
      problems.push(invalidValue(`${at}.generateName`, generateName, why));
    }
  }
  if (name === "") problems.push(required(`${at}.name`, "name or generateName is required"));
  else for (const why of check(name)) problems.push(invalidValue(`${at}.name`, name, why));
  if (kind.namespaced) {
    if (namespace === "") problems.push(required(`${at}.namespace`));
    else for (const why of dnsLabel(namespace)) problems.push(invalidValue(`${at}.namespace`, namespace, why));
  } else if (namespace !== "") problems.push(forbiddenField(`${at}.namespace`, "not allowed on this type"));
  problems.push(...nonNegative(`${at}.generation`, metadata.generation));
  problems.push(...noteProblems(metadata));
  if (finalizers) problems.push(...finalizerProblems(finalizers, `${at}.finalizers`));
  return problems;
}

const fixed = ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"] as const;

function noteProblems({ labels, annotations, ownerReferences }: ObjectMeta): FieldProblem[] {
  const problems = labelProblems(labels, "metadata.labels");
  problems.push(...annotationProblems(annotations, "metadata.annotations"));
  if (ownerReferences) problems.push(...ownerProblems(ownerReferences, "metadata.ownerReferences"));
  return problems;
}

/** What is wrong with a change of metadata. */
export function metadataUpdateProblems(next: ObjectMeta, old: ObjectMeta): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (old.deletionTimestamp) {
    const added = (next.finalizers ?? []).filter((name) => !old.finalizers?.includes(name)).sort();
    if (added.length > 0) {
      const names = added.map((name) => JSON.stringify(name)).join(", ");
      const why = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${names}}`;
      problems.push(forbiddenField("metadata.finalizers", why));
    }
  }
  for (const name of fixed) {
    if (!equal(next[name], old[name])) problems.push(invalidValue(`metadata.${name}`, next[name], immutable));
  }
  problems.push(...noteProblems(next));
  return problems;
}
