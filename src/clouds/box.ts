import type { Duplex, Readable, Writable } from "node:stream";
import type { ContainerStatus } from "../api/types.gen.ts";
import type { Machine } from "./cloud.ts";

/**
 * The inside of a machine: what the agent on it is told and what it tells. drover reaches it over SSH; the simulated
 * cloud has boxes of its own. The documents below are the agent's protocol, version 1, in JSON.
 */

export type BoundFile = { path: string; mode: number; contentBase64: string };

export type BoundVolume =
  /** Files from ConfigMaps, Secrets, the downward API and tokens; replaced live by `update`. */
  | { name: string; kind: "files"; files: readonly BoundFile[] }
  | { name: string; kind: "empty"; medium: "disk" | "memory"; sizeBytes?: number }
  | { name: string; kind: "host"; path: string }
  /**
   * A disk that outlives the machine. `device`: its path below /dev; the box waits for it. It is formatted only where
   * nothing is on it, neither a file system nor anything else that has a signature, and the file system grows with the
   * disk. `block`: neither formatted nor mounted; containers get the device itself, by `devices`. `format` and `mount`:
   * further words for mkfs, and further options of the mount.
   */
  | {
      name: string;
      kind: "disk";
      device: string;
      fsType: "ext4" | "ext3" | "xfs";
      readOnly: boolean;
      block?: boolean;
      format?: readonly string[];
      mount?: readonly string[];
    };

/**
 * What comes to `port` of the machine goes to `targetPort` of it, from the machine itself too. `address`: what the
 * machine sends to that address of somebody else instead.
 */
export type Redirect = { port: number; targetPort: number; protocol: "TCP" | "UDP"; address?: string };

/** What of a bound Pod may change while it runs. */
type BoxUpdate = {
  /** By name; those that are not named stay. `files` are replaced; a `disk` that has grown gets a larger file system. */
  volumes: readonly BoundVolume[];
  /** All of them; absent: they stay as they are. */
  redirects?: readonly Redirect[];
};

export type BoundProbe = {
  action:
    | { kind: "exec"; command: readonly string[] }
    | {
        kind: "http";
        scheme: "HTTP" | "HTTPS";
        host?: string;
        port: number;
        path: string;
        headers: readonly [string, string][];
      }
    | { kind: "tcp"; host?: string; port: number }
    | { kind: "grpc"; host?: string; port: number; service: string };
  /** Of a container that this probe ends; absent: the Pod's own. */
  graceSeconds?: number;
  initialDelaySeconds: number;
  periodSeconds: number;
  timeoutSeconds: number;
  successThreshold: number;
  failureThreshold: number;
};

export type BoundHandler = BoundProbe["action"] | { kind: "sleep"; seconds: number };

export type BoundContainer = {
  name: string;
  image: string;
  pullPolicy: "Always" | "IfNotPresent" | "Never";
  /** Absent: the image's own entry point and arguments. `$(NAME)` is already resolved. */
  command?: readonly string[];
  args?: readonly string[];
  workingDir?: string;
  env: readonly [string, string][];
  mounts: readonly { volume: string; path: string; readOnly: boolean; subPath?: string }[];
  /** Disks that are handed over as they are; `path` is the device's in the container. */
  devices?: readonly { volume: string; path: string }[];
  /** 0: no limit. */
  cpuMillisMax: number;
  memoryBytesMax: number;
  /** The container sees the machine's graphics processors, all of them. */
  gpus?: boolean;
  user?: string;
  privileged: boolean;
  readOnlyRoot: boolean;
  /** The runtime's own filter of system calls; absent: none, which is Kubernetes' default. */
  seccompDefault?: boolean;
  noNewPrivileges?: boolean;
  capabilitiesAdd: readonly string[];
  capabilitiesDrop: readonly string[];
  tty: boolean;
  stdin: boolean;
  /** True for an init container that goes on beside the others (restartPolicy Always). */
  sidecar: boolean;
  startup?: BoundProbe;
  readiness?: BoundProbe;
  liveness?: BoundProbe;
  postStart?: BoundHandler;
  preStop?: BoundHandler;
  /** `SIGUSR1`; absent: the image's own, or else SIGTERM. */
  stopSignal?: string;
  terminationMessagePath: string;
  /** A container that failed without a message of its own is explained by the end of its log. */
  messageFromLog?: boolean;
  /** `Reason: message` for the Pod where the container can't be made (a missing ConfigMap); it waits with it. */
  configError?: string;
};

/** A Pod, resolved to what the machine needs: no reference to another object is left in it. */
export type Binding = {
  version: 1;
  uid: string;
  namespace: string;
  name: string;
  hostname: string;
  nameservers: readonly string[];
  searchDomains: readonly string[];
  /** Lines of resolv.conf's `options`; absent: `ndots:5`. */
  resolverOptions?: readonly string[];
  /** Extra groups of every process. */
  groups?: readonly number[];
  /** The group that owns the volumes' files. */
  fsGroup?: number;
  /** Lines of /etc/hosts, the Pod's own address among them. */
  hostAliases: readonly { ip: string; hostnames: readonly string[] }[];
  restartPolicy: "Always" | "OnFailure" | "Never";
  graceSeconds: number;
  /** 0: no limit. */
  activeDeadlineSeconds: number;
  registryMirror?: string;
  /** Absent: none. */
  redirects?: readonly Redirect[];
  volumes: readonly BoundVolume[];
  initContainers: readonly BoundContainer[];
  containers: readonly BoundContainer[];
};

/** One thing that happened on the machine; becomes an Event of the Pod. `id` grows by one. */
export type BoxEvent = {
  id: number;
  type: "Normal" | "Warning";
  reason: string;
  message: string;
  container?: string;
  atMs: number;
};

/**
 * What the provider has told the machine of its own end. interruption: it is taken away at `atMs`; rebalance: it is
 * likely to be; retirement: its host is, `atMs` is the beginning of the time for it.
 */
type Notice = { kind: "interruption" | "rebalance" | "retirement"; atMs?: number };

/** What the agent reports, whole each time. */
export type Report = {
  version: 1;
  agentVersion: string;
  /** Changes at every boot of the machine. */
  bootId: string;
  /** The Pod that the machine is bound to. */
  uid?: string;
  /** Kubernetes' own shape; `restartCount` never decreases. */
  initContainerStatuses: readonly ContainerStatus[];
  containerStatuses: readonly ContainerStatus[];
  /** Every container has ended and none will be started again. */
  finished: boolean;
  /** The Pod was told to stop, or its deadline passed (`DeadlineExceeded`). */
  stopping: boolean;
  reason?: string;
  /** The most urgent one. Absent: none, or the provider has no way to tell. */
  notice?: Notice;
  /** The newest 50. */
  events: readonly BoxEvent[];
};

/** What is known of a machine's inside, and since when: silence is *unknown*, never *dead*. */
export type Contact = {
  /** An answer came within the last keep-alive interval. */
  reachable: boolean;
  /** The last one that came, however old. */
  report?: Report;
  /** Why it can't be reached, without a full stop. Absent: it can, or nobody knows. */
  failure?: string;
  /** Wall time since which it can't be reached, for that reason or others before it. Absent: with `failure`. */
  failingSinceMs?: number;
};

export type LogRequest = {
  container: string;
  follow: boolean;
  previous: boolean;
  timestamps: boolean;
  tailLines?: number;
  limitBytes?: number;
  sinceSeconds?: number;
  /** RFC 3339. */
  sinceTime?: string;
};

export type ExecRequest = {
  container: string;
  /** Empty: attach to the container's main process. */
  command: readonly string[];
  stdin: boolean;
  tty: boolean;
};

/** With a tty everything comes on `stdout`. `exit` rejects when the connection is lost. */
export type ExecSession = {
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  resize(columns: number, rows: number): void;
  exit: Promise<{ exitCode: number }>;
  close(): void;
};

export interface Boxes {
  /** Keeps in touch with these machines and lets go of all others. */
  follow(machines: readonly Machine[]): void;
  contact(machineId: string): Contact | undefined;
  /** Calls `listener` with a machine's id when its contact has changed. Returns the way to stop. */
  onChange(listener: (machineId: string) => void): () => void;
  /** Gives the machine its Pod, once and for ever. The same uid again is harmless.
   * @throws BOX_TAKEN (bound to another Pod), BOX_UNREACHABLE (it may or may not have happened) */
  bind(machineId: string, binding: Binding, signal?: AbortSignal): Promise<void>;
  /** Replaces files of the bound Pod's volumes, and redirects. @throws BOX_UNREACHABLE, BOX_REFUSED */
  update(machineId: string, update: BoxUpdate, signal?: AbortSignal): Promise<void>;
  /** preStop, SIGTERM, SIGKILL after `graceSeconds`; seen to be done in the report (`finished`). Repeatable; only shortens. */
  stop(machineId: string, graceSeconds: number, signal?: AbortSignal): Promise<void>;
  /** @throws BOX_UNREACHABLE, BOX_REFUSED (no such container, nothing previous) */
  logs(machineId: string, request: LogRequest, signal: AbortSignal): Promise<Readable>;
  exec(machineId: string, request: ExecRequest, signal: AbortSignal): Promise<ExecSession>;
  /** A stream to a port on the machine's own loopback. */
  connect(machineId: string, port: number, signal?: AbortSignal): Promise<Duplex>;
  close(): Promise<void>;
}
