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
export const zoneLabel = "topology.kubernetes.io/zone";
/** What the CSI driver calls it. */
const csiZoneLabel = "topology.ebs.csi.aws.com/zone";

/** A volume of drover's making for this claim; also its id at the provider. */
export const volumeName = (claimUid: string): string => `pvc-${claimUid}`;

/** Whether the disk of this volume is made, attached and deleted by drover. */
export const isOwnVolume = ({ metadata, spec }: PersistentVolume): boolean =>
  isOwnProvisioner(spec.csi?.driver) && metadata.annotations?.["pv.kubernetes.io/provisioned-by"] !== undefined;

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
    const zones = volume ? affinityZones(volume) : allowedZones(kind);
    return zones ? [zones] : [];
  });
  const [first, ...others] = pinned;
  return first && new Set(first.filter((zone) => others.every((zones) => zones.includes(zone))));
}

/** Zones that disks of a class may be made in; undefined: any. */
export function allowedZones(storageClass: StorageClass | undefined): string[] | undefined {
  const zones = (storageClass?.allowedTopologies ?? []).flatMap(({ matchLabelExpressions = [] }) =>
    matchLabelExpressions
      .filter(({ key }) => key === zoneLabel || key === csiZoneLabel)
      .flatMap(({ values }) => values),
  );
  return zones.length > 0 ? zones : undefined;
}

function affinityZones({ spec }: PersistentVolume): string[] | undefined {
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const zones = terms.flatMap(({ matchExpressions = [] }) =>
    matchExpressions.filter(({ key }) => key === zoneLabel).flatMap(({ values = [] }) => values),
  );
  return zones.length > 0 ? zones : undefined;
}

/** Why the Pod can't be given a machine yet, in the scheduler's words; undefined: nothing in the way of it. */
export function claimObstacle(view: View, pod: Pod): string | undefined {
  for (const name of claimNames(pod).values()) {
    const claim = view.get("persistentvolumeclaims", pod.metadata.namespace ?? "", name);
    if (!claim) return `persistentvolumeclaim "${name}" not found`;
    if (claim.metadata.deletionTimestamp !== undefined) return `persistentvolumeclaim "${name}" is being deleted`;
    if (claim.spec.volumeName) continue;
    const kind = view.get("storageclasses.storage.k8s.io", "", claim.spec.storageClassName ?? "");
    if (kind?.volumeBindingMode === "WaitForFirstConsumer" && isOwnProvisioner(kind.provisioner)) continue;
    return "pod has unbound immediate PersistentVolumeClaims";
  }
  return undefined;
}
