import type { KubeObject, ObjectKey, Resource } from "../api/object.ts";
import type { BalancerSpec } from "../clouds/balancer.ts";
import type { Launch, MachineTemplate, NameRecord } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import type { DiskAction } from "./act-disks.ts";
import type { ImageLookup } from "./machine-images.ts";

/** Something worth telling the reader of `kubectl describe`; becomes an Event, repeated ones are counted. */
export type Notice = {
  about: KubeObject;
  type: "Normal" | "Warning";
  reason: string;
  message: string;
  /** The component that says so, e.g. `deployment-controller`. */
  source: string;
  /** The part of the object that it is about: `spec.containers{web}`. */
  fieldPath?: string;
  /** Only the last that was said for this reason is of interest: it takes the place of those before, and counts them. */
  isLatest?: boolean;
  /** One occurrence of many on a machine: told again, it is not counted again. */
  occurrence?: { id: number; atMs: number };
};

/** What becomes of an object's dependents; Background when nothing is said. */
type Propagation = "Background" | "Foreground" | "Orphan";

/**
 * One side effect. Store writes carry the version that was observed: another writer in between makes them void, and
 * the change that it made queues the key again.
 */
export type Action =
  /** `refused`: told when the API refuses the object; `{}` in its message stands for the refusal. */
  | { do: "create"; resource: Resource; object: KubeObject; told?: Notice; refused?: Notice }
  /** `next` replaces the object whose resourceVersion is still `next.metadata.resourceVersion`. */
  | { do: "write"; key: ObjectKey; next: KubeObject; subresource?: "status" | "finalize" | "binding"; told?: Notice }
  /** Without `graceSeconds` the object's own grace. A missing object, or one of another uid, is a success. */
  | { do: "delete"; key: ObjectKey; uid: string; graceSeconds?: number; propagation?: Propagation; told?: Notice }
  | { do: "tell"; notice: Notice }
  /** What a machine has told of itself, up to the event `upTo`. */
  | { do: "tellReported"; machineId: string; upTo: number; notices: readonly Notice[] }
  /** Side by side; the first failure counts. Without `untilFailure` the others are tried all the same. */
  | { do: "together"; actions: readonly Action[]; untilFailure?: boolean }
  | { do: "refreshOffers" }
  /** Asks the provider what somebody changed by hand, and tells it. */
  | { do: "checkDrift" }
  | { do: "lookUpImage"; lookup: ImageLookup }
  /** Makes the call of the record and writes down what it gave. */
  | { do: "launch"; recordName: string; launch: Launch }
  | { do: "terminate"; machineId: string }
  /** `sources`: the state of what the Pod's files and variables come from, see pod-sources.ts. */
  | { do: "bind"; machineId: string; address: string; pod: KubeObject; sources: string }
  | { do: "updateFiles"; machineId: string; address: string; pod: KubeObject; sources: string }
  | { do: "stop"; machineId: string; graceSeconds: number }
  /** `isReplacing`: it still serves by groups that are to go. */
  | { do: "ensureBalancer"; spec: BalancerSpec; isReplacing: boolean }
  | { do: "removeBalancer"; id: string }
  | { do: "changeNames"; records: readonly NameRecord[] }
  /** Has the provider let in what comes to these ports of any machine, and to no others that machines don't declare. */
  | { do: "openRedirects"; ports: NonNullable<MachineTemplate["ports"]> }
  | DiskAction;

/** `againInMs`: look again then, even if nothing changed. Actions are carried out in order; a failure ends the rest. */
export type Plan = { actions: readonly Action[]; againInMs?: number };

/**
 * A controller in two pure halves. `observe` reads, `plan` decides, run.ts has the plan carried out: nothing else has
 * side effects, and a failed key is repeated with backoff, 1 to 300 s. Level-based: a key is looked at again after
 * anything it watches has changed, so a plan names one safe step from what is, never a script of what was meant.
 */
export interface Reconciler<World> {
  readonly name: string;
  /** Resources whose changes queue keys, and which keys a changed object queues; `any` stands for every resource. */
  readonly watches: Readonly<Record<Resource, (object: KubeObject, view: View) => readonly ObjectKey[]>>;
  /** `undefined`: the object is gone, nothing to do. `failure`: why the last plan for this key could not be carried out. */
  observe(key: ObjectKey, failure?: string): World | undefined;
  /** Pure and total: same world and time, same plan; throws on no world that the API accepts. */
  plan(world: World, nowMs: number): Plan;
}
