import { equal } from "../equal.ts";
import { dnsSubdomain, qualifiedName } from "../names.ts";
import { forbiddenField, immutable, invalidValue, notSupported, required } from "../problems.ts";
import { compareQuantities, parseQuantity } from "../quantity.ts";
import type { FieldProblem } from "../status.ts";
import type { PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, StorageClass } from "../types.gen.ts";
import { nodeSelectorProblems } from "./affinity.ts";
import { goDifference } from "./go-dump.ts";
import { rulesFor } from "./kind-rules.ts";
import { fractionWarnings } from "./pod-warnings.ts";
import { selectorProblems } from "./selectors.ts";

const accessModes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const unknownModes = (modes: readonly string[], at: string): FieldProblem[] =>
  modes.filter((mode) => !accessModes.includes(mode)).map((mode) => notSupported(at, mode, accessModes));

const isPositive = (amount: string): boolean => parseQuantity(amount).nanos > 0n;

const volumeModes = ["Block", "Filesystem"];

/** The class of the storage, and whether it is a file system. */
function kindProblems({
  storageClassName: name,
  volumeMode: mode,
}: Pick<PersistentVolumeClaimSpec, "storageClassName" | "volumeMode">): FieldProblem[] {
  const problems = name ? dnsSubdomain(name).map((why) => invalidValue("spec.storageClassName", name, why)) : [];
  if (mode === undefined || volumeModes.includes(mode)) return problems;
  return [...problems, notSupported("spec.volumeMode", mode, volumeModes)];
}

function claimProblems({ spec = {} }: PersistentVolumeClaim): FieldProblem[] {
  const modes = spec.accessModes ?? [];
  const problems = modes.length === 0 ? [required("spec.accessModes", "at least 1 access mode is required")] : [];
  problems.push(...selectorProblems(spec.selector, "spec.selector"), ...unknownModes(modes, "spec.accessModes"));
  if (modes.includes("ReadWriteOncePod") && modes.length > 1) {
    const why = "may not use ReadWriteOncePod with other access modes";
    problems.push(forbiddenField("spec.accessModes", why));
  }
  const size = spec.resources?.requests?.["storage"];
  if (size === undefined) problems.push(required("spec.resources[storage]"));
  else if (!isPositive(size)) problems.push(invalidValue("spec.resources[storage]", size, "must be greater than zero"));
  return [...problems, ...kindProblems(spec)];
}

const claimRule =
  "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";

/** `next` with what may change as it was: a bound claim may ask for more, and an unbound one be given its volume. */
function withoutAllowed(next: PersistentVolumeClaim, old: PersistentVolumeClaim): PersistentVolumeClaimSpec {
  const [spec, before] = [{ ...next.spec }, old.spec ?? {}];
  if (before.volumeName === undefined && spec.volumeName !== undefined) delete spec.volumeName;
  if (old.status?.phase === "Bound") {
    spec.resources = { ...spec.resources, requests: before.resources?.requests };
    spec.volumeAttributesClassName = before.volumeAttributesClassName;
  }
  return spec;
}

function claimUpdateProblems(next: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldProblem[] {
  const problems = claimProblems(next);
  const munged = withoutAllowed(next, old);
  if (!equal(munged, old.spec)) {
    const difference = goDifference("core.v1.PersistentVolumeClaimSpec", old.spec ?? {}, munged);
    problems.push(forbiddenField("spec", `${claimRule}\n${difference}`));
  }
  const [size, before] = [next, old].map(({ spec }) => spec?.resources?.requests?.["storage"]);
  if (size !== undefined && before !== undefined && compareQuantities(size, before) < 0) {
    problems.push(forbiddenField("spec.resources.requests.storage", "field can not be less than status.capacity"));
  }
  return problems;
}

const betaClass = "volume.beta.kubernetes.io/storage-class";

export const claimRules = rulesFor<PersistentVolumeClaim>({
  create: claimProblems,
  update: claimUpdateProblems,
  warnings: ({ metadata, spec }, old) => {
    if (old) return [];
    const isBeta = metadata.annotations?.[betaClass] !== undefined;
    const why = `metadata.annotations[${betaClass}]: deprecated since v1.8; use "storageClassName" attribute instead`;
    return [...(isBeta ? [why] : []), ...fractionWarnings(spec?.resources?.requests, "spec.resources.requests")];
  },
});

const reclaimPolicies = ["Delete", "Recycle", "Retain"];
/** Everything in a volume's spec that is no source of storage; what is one is named by `sourcesOf`. */
const volumeFacts = new Set([
  "accessModes",
  "capacity",
  "claimRef",
  "mountOptions",
  "nodeAffinity",
  "persistentVolumeReclaimPolicy",
  "storageClassName",
  "volumeAttributesClassName",
  "volumeMode",
]);
export const sourcesOf = (spec: object): string[] => Object.keys(spec).filter((name) => !volumeFacts.has(name));

function volumeProblems({ spec = {} }: PersistentVolume): FieldProblem[] {
  const { accessModes: modes = [], capacity, persistentVolumeReclaimPolicy: policy } = spec;
  const problems = modes.length === 0 ? [required("spec.accessModes")] : [];
  problems.push(...unknownModes(modes, "spec.accessModes"));
  if (!capacity) problems.push(required("spec.capacity"));
  const size = capacity?.["storage"];
  if (size === undefined || Object.keys(capacity ?? {}).length > 1) {
    problems.push(notSupported("spec.capacity", capacity ?? null, ["storage"]));
  } else if (!isPositive(size)) {
    problems.push(invalidValue("spec.capacity[storage]", size, "must be greater than zero"));
  }
  if (policy !== undefined && !reclaimPolicies.includes(policy)) {
    problems.push(notSupported("spec.persistentVolumeReclaimPolicy", policy, reclaimPolicies));
  }
  if (spec.nodeAffinity?.required) {
    problems.push(...nodeSelectorProblems(spec.nodeAffinity.required, "spec.nodeAffinity.required"));
  }
  const [first, ...more] = sourcesOf(spec);
  if (first === undefined) return [...problems, required("spec", "must specify a volume type")];
  problems.push(...(spec.hostPath?.path === "" ? [required("spec.hostPath.path")] : []), ...kindProblems(spec));
  const why = "may not specify more than 1 volume type";
  return [...problems, ...more.map((name) => forbiddenField(`spec.${name}`, why))];
}

const sourceOnly = (spec: object | undefined): object =>
  Object.fromEntries(Object.entries(spec ?? {}).filter(([name]) => !volumeFacts.has(name)));

export const persistentVolumeRules = rulesFor<PersistentVolume>({
  create: volumeProblems,
  update: (next, old) => [
    ...volumeProblems(next),
    ...(equal(sourceOnly(next.spec), sourceOnly(old.spec))
      ? []
      : [forbiddenField("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")]),
    ...(next.spec?.volumeMode === old.spec?.volumeMode
      ? []
      : [invalidValue("volumeMode", next.spec?.volumeMode ?? null, immutable)]),
  ],
});

const classPolicies = ["Delete", "Retain"];
const bindingModes = ["Immediate", "WaitForFirstConsumer"];

function classProblems({ provisioner, reclaimPolicy, volumeBindingMode: mode }: StorageClass): FieldProblem[] {
  const problems =
    provisioner === ""
      ? [required("provisioner")]
      : qualifiedName(provisioner.toLowerCase()).map((why) => invalidValue("provisioner", provisioner, why));
  if (reclaimPolicy !== undefined && !classPolicies.includes(reclaimPolicy)) {
    problems.push(notSupported("reclaimPolicy", reclaimPolicy, classPolicies));
  }
  if (mode !== undefined && !bindingModes.includes(mode)) {
    problems.push(notSupported("volumeBindingMode", mode, bindingModes));
  }
  return problems;
}

export const storageClassRules = rulesFor<StorageClass>({
  create: classProblems,
  update: (next, old) => [
    ...(["parameters", "provisioner", "reclaimPolicy"] as const)
      .filter((name) => !equal(next[name], old[name]))
      .map((name) => invalidValue(name, next[name] ?? null, immutable)),
    ...(next.volumeBindingMode === old.volumeBindingMode
      ? []
      : [invalidValue("volumeBindingMode", next.volumeBindingMode, immutable)]),
  ],
});
