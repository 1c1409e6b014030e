import { sourcesOf } from "../api/rules/storage.ts";
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimTemplate,
  Pod,
  StorageClass,
} from "../api/types.gen.ts";
import type { View } from "../registry/view.ts";

/** What claims, volumes and the machines that have them know of each other. */

/** Provisioners that stand for the cloud's own disks; classes of others are left to others. */
const ownProvisioners = new Set(["ebs.csi.aws.com", "kubernetes.io/aws-ebs", "drover.dev/disk"]);
export const isOwnProvisioner = (name: string | undefined): boolean => ownProvisioners.has(name ?? "");

/** On a PersistentVolume: the machine that has the disk, and the disk's path there. */
export const attachedAnnotation = "drover.dev/attached-machine";
export const deviceAnnotation = "drover.dev/device";
/** On a PersistentVolume that somebody made by hand: where its disk was found to be. */
export const diskZoneAnnotation = "drover.dev/disk-zone";
export const zoneLabel = "topology.kubernetes.io/zone";
/** What it is called as well, by the CSI driver and before there was a common name. */
const zoneLabels = [zoneLabel, "topology.ebs.csi.aws.com/zone", "failure-domain.beta.kubernetes.io/zone"];

/** A volume of drover's making for this claim; also its id at the provider. */
export const volumeName = (claimUid: string): string => `pvc-${claimUid}`;

/** The provider's own name of the volume's disk, made by drover or not; undefined: it is of a kind that has none. */
export function handleOf({ spec }: PersistentVolume): string | undefined {
  const { csi, awsElasticBlockStore: ebs } = spec;
  if (ebs) return ebs.volumeID.replace(/^aws:\/\/[^/]*\//, "");
  return isOwnProvisioner(csi?.driver) ? csi?.volumeHandle : undefined;
}

/** Its disk goes with it where the reclaim policy says so. Kubernetes looks at this annotation too. */
export const isProvisioned = ({ metadata }: PersistentVolume): boolean =>
  isOwnProvisioner(metadata.annotations?.["pv.kubernetes.io/provisioned-by"]);

/** drover made it for its claim; any other was made by hand, of a disk that is there or not. */
export const isMade = ({ metadata, spec }: PersistentVolume): boolean =>
  metadata.name === volumeName(spec.claimRef?.uid ?? "");

/** Volumes that have a claim of their own, which lives as long as the Pod. */
export const volumeOwners = ({
  metadata,
  spec,
}: Pod): { claimName: string; template: PersistentVolumeClaimTemplate }[] =>
  (spec.volumes ?? []).flatMap(({ name, ephemeral }) => {
    const template = ephemeral?.volumeClaimTemplate;
    return template ? [{ claimName: `${metadata.name}-${name}`, template }] : [];
  });

/** The claim behind each of the Pod's volumes that have one, by the volume's name. */
export const claimNames = ({ metadata, spec }: Pod): ReadonlyMap<string, string> =>
  new Map(
    (spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
      if (persistentVolumeClaim) return [[name, persistentVolumeClaim.claimName] as const];
      return ephemeral ? [[name, `${metadata.name}-${name}`] as const] : [];
    }),
  );

/** Pods that still need the claim's disk, the one that has it first. */
export const diskUsers = (view: View, { metadata }: PersistentVolumeClaim): Pod[] =>
  view
    .list("pods", metadata.namespace)
    .filter(({ status }) => status?.phase !== "Succeeded" && status?.phase !== "Failed")
    .filter((pod) => [...claimNames(pod).values()].includes(metadata.name));

/** The volume that a claim is bound to, both ways. */
export function volumeOf(view: View, claim: PersistentVolumeClaim): PersistentVolume | undefined {
  const volume = claim.spec.volumeName ? view.get("persistentvolumes", "", claim.spec.volumeName) : undefined;
  return volume?.spec.claimRef?.uid === claim.metadata.uid ? volume : undefined;
}

/** Zones in which all disks of the Pod can be attached; undefined: any. */
export function zonesOf(view: View, pod: Pod): ReadonlySet<string> | undefined {
  const pinned = [...claimNames(pod).values()].flatMap((name) => {
    const claim = view.get("persistentvolumeclaims", pod.metadata.namespace ?? "", name);
    const volume = claim && volumeOf(view, claim);
    const kind = view.get("storageclasses.storage.k8s.io", "", claim?.spec.storageClassName ?? "");
    const diskZone = volume?.metadata.annotations?.[diskZoneAnnotation];
    const zones = volume ? affinityZones(volume) : allowedZones(kind);
    return [...(zones ? [zones] : []), ...(diskZone === undefined ? [] : [[diskZone]])];
  });
  const [first, ...others] = pinned;
  return first && new Set(first.filter((zone) => others.every((zones) => zones.includes(zone))));
}

/** Zones that disks of a class may be made in; undefined: any. */
export function allowedZones(storageClass: StorageClass | undefined): string[] | undefined {
  const zones = (storageClass?.allowedTopologies ?? []).flatMap(({ matchLabelExpressions = [] }) =>
    matchLabelExpressions.filter(({ key }) => zoneLabels.includes(key)).flatMap(({ values }) => values),
  );
  return zones.length > 0 ? zones : undefined;
}

/** Zones that a volume says it can be used in; undefined: any. */
export function affinityZones({ spec }: PersistentVolume): string[] | undefined {
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const zones = terms.flatMap(({ matchExpressions = [] }) =>
    matchExpressions
      .filter(({ key, operator }) => operator === "In" && zoneLabels.includes(key))
      .flatMap(({ values = [] }) => values),
  );
  return zones.length > 0 ? zones : undefined;
}

/** Why the Pod can't be given a machine yet, in the scheduler's words; undefined: nothing in the way of it. */
export function claimObstacle(view: View, pod: Pod): string | undefined {
  for (const name of claimNames(pod).values()) {
    const claim = view.get("persistentvolumeclaims", pod.metadata.namespace ?? "", name);
    if (!claim) return `persistentvolumeclaim "${name}" not found`;
    if (claim.metadata.deletionTimestamp !== undefined) return `persistentvolumeclaim "${name}" is being deleted`;
    const volume = volumeOf(view, claim);
    const obstacle = volume && volumeObstacle(volume);
    if (obstacle !== undefined) return obstacle;
    if (volume) continue;
    const kind = view.get("storageclasses.storage.k8s.io", "", claim.spec.storageClassName ?? "");
    const isLate = kind?.volumeBindingMode === "WaitForFirstConsumer" && isOwnProvisioner(kind.provisioner);
    if (isLate && !claim.spec.volumeName) continue;
    return "pod has unbound immediate PersistentVolumeClaims";
  }
  return undefined;
}

const mountable = "disks of ebs.csi.aws.com, drover.dev/disk and awsElasticBlockStore";

/** Why no Pod can use the volume now. */
function volumeObstacle(volume: PersistentVolume): string | undefined {
  const { metadata, spec, status } = volume;
  const head = `persistentvolume "${metadata.name}"`;
  if (handleOf(volume) === undefined) {
    const source = spec.csi?.driver ?? sourcesOf(spec).join();
    return `${head}: drover can't mount ${source}, only ${mountable}`;
  }
  if (spec.awsElasticBlockStore?.partition || spec.csi?.volumeAttributes?.["partition"])
    return `${head}: drover mounts whole disks, and no partition of one`;
  if (status?.message) return `${head}: ${status.message}`;
  const isKnown = isMade(volume) || metadata.annotations?.[diskZoneAnnotation] !== undefined;
  return isKnown ? undefined : `${head}: its disk ${handleOf(volume)} is being looked for`;
}
