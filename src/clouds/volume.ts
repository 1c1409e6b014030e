/** The port for disks that outlive machines: PersistentVolumes. */

export type VolumeSpec = {
  /** Name of the PersistentVolume: the idempotency token and a tag. At most 63 characters. */
  id: string;
  cluster: string;
  /** `namespace/name` of the claim, for people. */
  name: string;
  /** Volumes can only be attached to machines of their zone. */
  zone: string;
  sizeBytes: number;
  /** The StorageClass' parameters, as they are; each cloud reads those that it knows.
   * `csi.storage.k8s.io/fstype` is not among them: the machine formats the disk. */
  parameters: Readonly<Record<string, string>>;
};

/** `gone` is final and positive: the provider says that it is deleted. */
type VolumeState = "creating" | "available" | "attaching" | "attached" | "detaching" | "gone";

export type Volume = {
  id: string;
  /** As it was ensured: `namespace/name` of the claim. */
  name: string;
  /** The provider's own name: `vol-…`, a file. */
  handle: string;
  zone: string;
  sizeBytes: number;
  /** Wall time when it was made; absent: the provider does not say. */
  madeMs?: number;
  state: VolumeState;
  /** Machine that it is attached to, or being attached to or detached from. */
  machineId?: string;
  /** Once attached: a path below /dev on the machine that is this disk and no other, after every reboot. */
  device?: string;
};

export interface Volumes {
  /** The same id gives the same volume, however often; a larger size grows it.
   * @throws CLOUD_INVALID (names the parameter), CLOUD_QUOTA, CLOUD_CAPACITY, CLOUD_THROTTLED, CLOUD_AUTH, CLOUD_UNAVAILABLE */
  ensure(spec: VolumeSpec, signal?: AbortSignal): Promise<Volume>;
  /** Why `ensure` would refuse it wherever it is to be, without asking anybody. Absent: it refuses nothing. */
  problem?(spec: Omit<VolumeSpec, "zone">): string | undefined;
  /** Starts to attach; repeated for the same machine it is harmless. @throws CLOUD_INVALID: attached to another machine */
  attach(id: string, machineId: string, signal?: AbortSignal): Promise<void>;
  /** Starts to detach; a volume that is attached nowhere is a success. Never from a machine that still has it mounted. */
  detach(id: string, signal?: AbortSignal): Promise<void>;
  /** Deletes the data. A volume that is not there is a success. */
  remove(id: string, signal?: AbortSignal): Promise<void>;
  /** Everything tagged with the cluster; `complete` is false after a failed or partial look. */
  observe(signal?: AbortSignal): Promise<{ volumes: readonly Volume[]; complete: boolean }>;
  /**
   * Volumes that were not ensured here, by the provider's own names of them; those that there are not are left out. Their
   * `id` is that name, by which they can be attached, detached and removed as well. Absent: the provider has no others.
   */
  find?(handles: readonly string[], signal?: AbortSignal): Promise<readonly Volume[]>;
}
