import type { Balancers } from "./balancer.ts";
import type { Volumes } from "./volume.ts";

/**
 * The ports between drover and a provider of machines. Every method is idempotent, may be repeated after a crash, and
 * throws only the catalogue's CLOUD_* errors. `signal` ends the waiting, not what the provider has already begun.
 */

export type Architecture = "amd64" | "arm64";
type CapacityType = "on-demand" | "spot";

/** What a machine is made of before a Pod is bound to it. Machines of one hash are interchangeable until then. */
export type MachineTemplate = {
  /** Over everything below except `prefetch`: lower-case hex, 16 characters. */
  hash: string;
  /** Machine image: `debian-12`, an AMI id. */
  image: string;
  /** The cloud-init document as text; at most 16,384 bytes once gzipped. Never holds a secret. */
  userData: string;
  architecture: Architecture;
  /** What the machine must offer at least, the machine's own overhead included. */
  cpuMillis: number;
  memoryBytes: number;
  diskBytes: number;
  /** Graphics processors; absent: none. */
  gpus?: number;
  /** Ports that containers declare, by number; what opens them is the cloud's own business. Absent: none. */
  ports?: readonly { port: number; protocol: "TCP" | "UDP" }[];
  /** What the machine's programs may do at the provider: an instance profile's name or ARN. */
  profile?: string;
  /** Container images to fetch before the machine is handed over, where the cloud can. Not part of the hash. */
  prefetch: readonly string[];
};

/** Decides how packages are installed and which container engine there is. `other` comes with all that is needed. */
export type ImageFamily = "debian" | "ubuntu" | "amazon-linux" | "other";

/** A machine image that was looked up once for a revision and stays the same for it. */
export type MachineImage = { id: string; family: ImageFamily; architecture: Architecture; diskBytesMin: number };

/** Where and as what a machine runs; chosen from the offers. */
export type Placement = {
  type: string;
  zone: string;
  capacityType: CapacityType;
  /** Labels of its Node beyond type, zone, architecture and capacity type. */
  labels?: Readonly<Record<string, string>>;
  /** What it cost when it was chosen. Absent: nothing, or unknown. */
  priceUsdPerHour?: number;
};

/** A kind of machine that may be launched now. */
export type Offer = Placement & {
  architecture: Architecture;
  /** The size of every machine of this type; of an elastic type the most that one may have. */
  cpuMillis: number;
  memoryBytes: number;
  /** True where the cloud cuts machines to the template's own size (a person's computer). */
  elastic: boolean;
  /** Graphics processors; absent: none. */
  gpus?: number;
  priceUsdPerHour: number;
  /** Offers that name the same quota share what is left of it; a machine of a fixed type takes `quotaCpuMillis`. */
  quota?: string;
  quotaCpuMillis?: number;
  /** What is left: machines of a fixed type, or the memory and CPU that all machines of an elastic type share. */
  left: { machines: number; cpuMillis: number; memoryBytes: number };
};

/** What machines are for: enough to find their Pods again when drover's own store is lost. */
export type Owner = { namespace: string; kind: string; name: string };

/** One call to the provider, committed to the store before it is made. `slots`: 1 to 100 Pod UIDs, in launch order. */
export type Launch = {
  /** The idempotency token: lower-case letters, digits and dashes, at most 63 characters. */
  id: string;
  cluster: string;
  template: MachineTemplate;
  placement: Placement;
  slots: readonly string[];
  /** Whose Pods the slots are, and their names, by slot: what a machine is claimed by after the store was lost. */
  owner: Owner;
  names: readonly string[];
};

type MachineState = "pending" | "running" | "stopping" | "gone";

/** `slot` is the index in the launch; `cause` is the provider's own word for an end nobody asked for. */
export type Machine = {
  id: string;
  launchId: string;
  slot: number;
  state: MachineState;
  type: string;
  zone: string;
  /** IPv4, once the provider has given one. */
  address?: string;
  /** Where drover reaches it over SSH, when that is another address than its own. */
  publicAddress?: string;
  cause?: string;
  /** Absent: unknown. */
  capacityType?: CapacityType;
  /** What the launch said of this machine, where the provider keeps it. */
  claim?: Claim;
};

/** A machine's own word for whom it serves, kept by the provider beside it. */
export type Claim = { owner: Owner; templateHash: string; podName: string; podUid: string };

export interface Machines {
  /** Looks a machine image up: `debian-12`, an id, or a form of the provider's own.
   * @throws CLOUD_INVALID: there is none, or none of this architecture */
  image(reference: string, architecture: Architecture, signal?: AbortSignal): Promise<MachineImage>;
  /** Types, zones, prices and what is left of the quotas. */
  offers(signal?: AbortSignal): Promise<readonly Offer[]>;
  /** The same launch id gives the same machines, however often. May give fewer than `slots`, the first ones, never more.
   * @throws CLOUD_CAPACITY, CLOUD_QUOTA, CLOUD_THROTTLED, CLOUD_AUTH, CLOUD_UNAVAILABLE, CLOUD_INVALID */
  launch(launch: Launch, signal?: AbortSignal): Promise<readonly Machine[]>;
  /** Starts termination; "gone" is final and is seen through `observe`. A bad id among many fails alone. */
  terminate(ids: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Everything tagged with the cluster. `complete` is false after a failed or partial poll: absence then means nothing. */
  observe(signal?: AbortSignal): Promise<{ machines: readonly Machine[]; complete: boolean }>;
  /** The console's last 64 KiB, or "" before there is one. */
  console(id: string, signal?: AbortSignal): Promise<string>;
}

/** A name inside the machines' network. Without values the record is removed. */
export type NameRecord = { name: string; type: "A" | "CNAME"; values: readonly string[]; ttlSeconds: number };

export interface Names {
  /** Resolves when every resolver of the machines answers with the new records. */
  change(records: readonly NameRecord[], signal?: AbortSignal): Promise<void>;
  /** Every record of the cluster. */
  list(signal?: AbortSignal): Promise<readonly NameRecord[]>;
}

/** What a machine is told when a Pod is bound to it and that belongs to the cloud, not to the template. */
export type Surroundings = {
  /** Resolvers of the machines' network. */
  nameservers: readonly string[];
  /** `host:port` of a registry that holds the user's images, asked before the image's own. */
  registryMirror?: string;
  /** Nobody answers at the cluster addresses of Services: only their names lead to them. Absent: somebody does. */
  namesOnly?: boolean;
};

/**
 * What only the user can mend at the provider: an action that is not permitted, a login that has expired. `reason`: of
 * its Event; `cause`: words that every message about it holds.
 */
export type Trouble = { reason: string; cause: string; message: string };

export type Cloud = {
  machines: Machines;
  balancers: Balancers;
  volumes: Volumes;
  names: Names;
  surroundings(): Promise<Surroundings>;
  /**
   * What somebody changed by hand beside the balancers, which tell it themselves: one sentence a difference. What drover
   * itself wishes otherwise than before is no such thing: it is carried out.
   */
  drift?(signal?: AbortSignal): Promise<readonly string[]>;
  /**
   * Machines redirect these ports and no others: from now on each of them lets in what comes there, whatever its template
   * declares. Absent: they let in everything.
   * @throws CLOUD_INVALID: more of them than the provider can open
   */
  redirects?(ports: NonNullable<MachineTemplate["ports"]>, signal?: AbortSignal): Promise<void>;
  /** What has stood in the way lately, one a cause. */
  troubles?(): readonly Trouble[];
  /** Lets go of the provider; machines and balancers go on. */
  close(): Promise<void>;
};
