import { dnsLabel } from "../names.ts";
import { duplicateValue, forbiddenField, invalidValue, notSupported, required } from "../problems.ts";
import { parseQuantity } from "../quantity.ts";
import type { FieldProblem } from "../status.ts";
import type { DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection } from "../types.gen.ts";
import { fieldRefProblems, fileFields, resourceRefProblems } from "./downward.ts";

const modeMax = 0o777;
const modeRule = "must be a number between 0 and 0777 (octal), both inclusive";
const modeProblems = (mode: number | undefined, at: string): FieldProblem[] =>
  mode !== undefined && (mode < 0 || mode > modeMax) ? [invalidValue(at, mode, modeRule)] : [];

/** A path inside a volume that cannot lead out of it. */
export function descendingProblems(path: string, at: string): FieldProblem[] {
  if (path.startsWith("/")) return [invalidValue(at, path, "must be a relative path")];
  return path.split("/").includes("..") ? [invalidValue(at, path, "must not contain '..'")] : [];
}

function itemProblems({ key, path, mode }: KeyToPath, at: string): FieldProblem[] {
  const problems = key === "" ? [required(`${at}.key`)] : [];
  if (path === "") problems.push(required(`${at}.path`));
  else problems.push(...descendingProblems(path, `${at}.path`));
  return [...problems, ...modeProblems(mode, `${at}.mode`)];
}
const itemsProblems = (items: readonly KeyToPath[] | undefined, at: string): FieldProblem[] =>
  (items ?? []).flatMap((item, index) => itemProblems(item, `${at}.items[${index}]`));

function downwardProblems(file: DownwardAPIVolumeFile, at: string): FieldProblem[] {
  const problems = file.path === "" ? [required(`${at}.path`)] : descendingProblems(file.path, `${at}.path`);
  if (file.fieldRef) {
    problems.push(...fieldRefProblems(file.fieldRef, fileFields, `${at}.fieldRef`));
    if (file.resourceFieldRef) {
      problems.push(invalidValue(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"));
    }
  } else if (file.resourceFieldRef) {
    problems.push(...resourceRefProblems(file.resourceFieldRef, true, `${at}.resourceFieldRef`));
  } else problems.push(required(at, "one of fieldRef and resourceFieldRef is required"));
  return [...problems, ...modeProblems(file.mode, `${at}.mode`)];
}
const filesProblems = (files: readonly DownwardAPIVolumeFile[] | undefined, at: string): FieldProblem[] =>
  (files ?? []).flatMap((file) => downwardProblems(file, at));

const nameProblems = (name: string | undefined, at: string): FieldProblem[] =>
  (name ?? "") === "" ? [required(`${at}.name`)] : [];

/** `whole`: the volume's own path. */
function projectionProblems(source: VolumeProjection, at: string, whole: string): FieldProblem[] {
  const { secret, configMap, downwardAPI, serviceAccountToken } = source;
  const problems: FieldProblem[] = [];
  if (secret)
    problems.push(...nameProblems(secret.name, `${at}.secret`), ...itemsProblems(secret.items, `${at}.secret`));
  if (configMap) {
    problems.push(
      ...nameProblems(configMap.name, `${at}.configMap`),
      ...itemsProblems(configMap.items, `${at}.configMap`),
    );
  }
  if (downwardAPI) problems.push(...filesProblems(downwardAPI.items, `${at}.downwardAPI`));
  if (serviceAccountToken) {
    const field = `${at}.serviceAccountToken`;
    if (serviceAccountToken.path === "") problems.push(required(`${whole}.path`));
    const seconds = serviceAccountToken.expirationSeconds ?? 3600;
    if (seconds < 600) {
      problems.push(
        invalidValue(`${field}.expirationSeconds`, seconds, "may not specify a duration less than 10 minutes"),
      );
    }
  }
  return problems;
}

const hostPathTypes = [
  "",
  "DirectoryOrCreate",
  "Directory",
  "FileOrCreate",
  "File",
  "Socket",
  "CharDevice",
  "BlockDevice",
];

type Source = Exclude<keyof Volume, "name">;
type Check = (volume: Volume, at: string) => FieldProblem[];

/** In the order in which they are looked at. */
const sources: readonly Source[] = [
  "emptyDir",
  "hostPath",
  "gitRepo",
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "secret",
  "nfs",
  "iscsi",
  "glusterfs",
  "persistentVolumeClaim",
  "rbd",
  "cinder",
  "cephfs",
  "flocker",
  "downwardAPI",
  "fc",
  "azureFile",
  "flexVolume",
  "configMap",
  "vsphereVolume",
  "quobyte",
  "azureDisk",
  "photonPersistentDisk",
  "portworxVolume",
  "scaleIO",
  "storageos",
  "projected",
  "csi",
  "ephemeral",
  "image",
];

/** Rules of the sources that machines can have; the others belong to clouds and drivers that drover does not speak. */
const checks: Partial<Record<Source, Check>> = {
  emptyDir: ({ emptyDir }, at) =>
    emptyDir?.sizeLimit !== undefined && parseQuantity(emptyDir.sizeLimit).nanos < 0n
      ? [forbiddenField(`${at}.sizeLimit`, "SizeLimit field must be a valid resource quantity")]
      : [],
  hostPath: ({ hostPath }, at) => {
    if (!hostPath || hostPath.path === "") return [required(`${at}.path`)];
    const problems = hostPath.path.split("/").includes("..")
      ? [invalidValue(`${at}.path`, hostPath.path, "must not contain '..'")]
      : [];
    const type = hostPath.type ?? "";
    if (hostPathTypes.includes(type)) return problems;
    return [...problems, notSupported(`${at}.type`, type, hostPathTypes.toSorted())];
  },
  secret: ({ secret }, at) => [
    ...((secret?.secretName ?? "") === "" ? [required(`${at}.secretName`)] : []),
    ...modeProblems(secret?.defaultMode, `${at}.defaultMode`),
    ...itemsProblems(secret?.items, at),
  ],
  nfs: ({ nfs }, at) => {
    const problems = nfs?.server === "" ? [required(`${at}.server`)] : [];
    if (nfs?.path === "") problems.push(required(`${at}.path`));
    if (nfs?.path.startsWith("/")) return problems;
    return [...problems, invalidValue(`${at}.path`, nfs?.path, "must be an absolute path")];
  },
  persistentVolumeClaim: ({ persistentVolumeClaim }, at) =>
    persistentVolumeClaim?.claimName === "" ? [required(`${at}.claimName`)] : [],
  downwardAPI: ({ downwardAPI }, at) => [
    ...modeProblems(downwardAPI?.defaultMode, `${at}.defaultMode`),
    ...filesProblems(downwardAPI?.items, at),
  ],
  csi: ({ csi }, at) => (csi?.driver === "" ? [required(`${at}.driver`)] : []),
  configMap: ({ configMap }, at) => [
    ...nameProblems(configMap?.name, at),
    ...modeProblems(configMap?.defaultMode, `${at}.defaultMode`),
    ...itemsProblems(configMap?.items, at),
  ],
  projected: ({ projected }, at) => [
    ...modeProblems(projected?.defaultMode, `${at}.defaultMode`),
    ...(projected?.sources ?? []).flatMap((source, index) => projectionProblems(source, `${at}.sources[${index}]`, at)),
  ],
};

function sourceProblems(volume: Volume, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  let given = 0;
  for (const name of sources) {
    if (volume[name] === undefined) continue;
    if (given++ > 0) problems.push(forbiddenField(`${at}.${name}`, "may not specify more than 1 volume type"));
    else problems.push(...(checks[name]?.(volume, `${at}.${name}`) ?? []));
  }
  return given > 0 ? problems : [required(at, "must specify a volume type")];
}

/** `names`: volumes that may be mounted, which are those without problems. */
export function volumeProblems(
  volumes: readonly Volume[] | undefined,
  at: string,
): { problems: FieldProblem[]; names: ReadonlySet<string> } {
  const all: FieldProblem[] = [];
  const names = new Set<string>();
  for (const [index, volume] of (volumes ?? []).entries()) {
    const field = `${at}[${index}]`;
    const problems = sourceProblems(volume, field);
    if (volume.name === "") problems.push(required(`${field}.name`));
    else for (const why of dnsLabel(volume.name)) problems.push(invalidValue(`${field}.name`, volume.name, why));
    if (names.has(volume.name)) problems.push(duplicateValue(`${field}.name`, volume.name));
    if (problems.length === 0) names.add(volume.name);
    all.push(...problems);
  }
  return { problems: all, names };
}
