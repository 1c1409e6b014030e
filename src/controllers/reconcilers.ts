import type { Pod } from "../api/types.gen.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Boxes } from "../clouds/box.ts";
import type { MachineTemplate } from "../clouds/cloud.ts";
import type { ImagePlatforms } from "../machines/image-platforms.ts";
import type { TemplateOptions } from "../machines/template.ts";
import type { View } from "../registry/view.ts";
import { type ApiAddress, apiServiceReconciler } from "./api-service.ts";
import type { BalancerBook } from "./balancer-book.ts";
import type { BindingOptions } from "./bindings.ts";
import type { Claims } from "./claims.ts";
import { deploymentReconciler } from "./deployments.ts";
import type { DiskPoll } from "./disk-poll.ts";
import { disruptionReconciler } from "./disruption.ts";
import { driftKey, driftReconciler } from "./drift.ts";
import { endpointsReconciler } from "./endpoints.ts";
import { ephemeralVolumeReconciler } from "./ephemeral-volumes.ts";
import { expiryKey, expiryReconciler } from "./expiry.ts";
import { garbageReconciler } from "./garbage.ts";
import { ingressReconciler } from "./ingresses.ts";
import { launcherReconciler } from "./launcher.ts";
import { launchReconciler } from "./launches.ts";
import type { MachineImages } from "./machine-images.ts";
import type { Memory } from "./memory.ts";
import { namesReconciler } from "./names.ts";
import type { NamesBook } from "./names-book.ts";
import type { NamesOnly } from "./names-only.ts";
import { namespaceReconciler } from "./namespaces.ts";
import { nodeReconciler } from "./nodes.ts";
import type { OwnerIndex } from "./owner-index.ts";
import { persistentVolumeReconciler } from "./persistent-volumes.ts";
import { podReconciler } from "./pods.ts";
import type { Poll } from "./poll.ts";
import type { Pause } from "./queue.ts";
import type { Reconciler } from "./reconciler.ts";
import { redirectsKey, redirectsReconciler } from "./redirects.ts";
import { replicaSetReconciler } from "./replicasets.ts";
import type { Roster } from "./roster.ts";
import type { Log, Runner } from "./run.ts";
import { serviceReconciler } from "./services.ts";
import { strangersReconciler } from "./strangers.ts";
import { troublesKey, troublesReconciler } from "./troubles.ts";
import { volumeClaimReconciler } from "./volume-claims.ts";

export type ControllerOptions = {
  boxes: Boxes;
  clock: Clock;
  random: Random;
  /** Tags everything at the provider. */
  cluster: string;
  log: Log;
  /** PEM of the API's authority: for `kube-root-ca.crt` and the Pods' volumes. */
  rootCertificate?: string;
  /** Where Pods reach the API; without it `default/kubernetes` has no endpoints. */
  apiAddress?: ApiAddress;
  /** Machines that there may be at once. Default: 1,000. */
  machinesMax?: number;
  /** What the machines may cost together. Default: no limit. */
  usdPerHourMax?: number;
  /** Time between two looks at the provider while something is under way (default 500), and at rest (10,000). */
  pollFastMs?: number;
  pollSlowMs?: number;
  /** Services of type ClusterIP have no balancer where neither they nor their Namespace ask for one. Default: false. */
  namesByDefault?: boolean;
  /** Machines let in what comes to a port that a container declares, and nothing else. Default: false. */
  declaredPortsOnly?: boolean;
  /** How long the machine of a finished Pod is kept for its logs. Default: 600. */
  finishedKeepSeconds?: number;
  /** What machines are made of where the Pod says nothing. Default: `debian-12`. */
  imageReference?: string;
  /** What container images are made for. Absent: every architecture. */
  platformsOf?: ImagePlatforms;
} & Omit<TemplateOptions, "image" | "serviceAccount"> &
  BindingOptions;

export type Run = <World>(reconciler: Reconciler<World>, concurrency: number, pauseMs?: Pause) => Runner;
/** What reconcilers share. */
export type Parts = ControllerOptions & {
  view: View;
  book: BalancerBook;
  memory: Memory;
  names: NamesBook;
  namesOnly: NamesOnly;
  roster: Roster;
  owners: OwnerIndex;
  poll: Poll;
  disks: DiskPoll;
  claims: Claims;
  images: MachineImages;
  templateOf: (pod: Pod) => MachineTemplate;
};

/**
 * Changes that come within this time are one change for what counts Pods. A look takes as long as there are Pods, and
 * of many Pods one changes all the time: so the more there are, the more seldom they are counted.
 */
const countingPauseMs = { least: 100, perPod: 0.5, most: 1_000 };
const endpointsPauseMs = 500;

/** One runner a reconciler; the first number is the keys that it works on at once. */
export function startReconcilers(parts: Parts, run: Run) {
  const { view, clock, machinesMax = 1_000, finishedKeepSeconds = 600 } = parts;
  const monotonicMs = clock.monotonicMs;
  const { poll } = parts;
  const countingMs = () => {
    const { least, perPod, most } = countingPauseMs;
    return Math.min(most, Math.max(least, perPod * view.list("pods").length));
  };
  // The store may be one that was lost: machines are looked for before Pods are made.
  const unseen = () => !poll.complete();
  const zones = () => [...new Set(poll.offers()?.list.map(({ zone }) => zone))];
  run(namespaceReconciler(view, parts.rootCertificate ?? ""), 4);
  run(garbageReconciler(view, parts.owners), 16);
  run(apiServiceReconciler(view, parts.apiAddress), 1);
  run(expiryReconciler(view), 1).add(expiryKey);
  if (parts.cloud.drift) run(driftReconciler(monotonicMs), 1).add(driftKey);
  if (parts.cloud.redirects) run(redirectsReconciler(parts), 1, endpointsPauseMs).add(redirectsKey);
  const { troubles } = parts.cloud;
  if (troubles) run(troublesReconciler(view, troubles), 1).add(troublesKey);
  run(ephemeralVolumeReconciler(view), 4);
  run(endpointsReconciler(view), 8, endpointsPauseMs);
  run(disruptionReconciler(view), 8, countingMs);
  run(deploymentReconciler(view), 8, countingMs);
  run(replicaSetReconciler({ ...parts, unseen }), 8, countingMs);
  return {
    pods: run(podReconciler(parts), 64),
    nodes: run(nodeReconciler(parts), 16),
    services: run(serviceReconciler(parts), 8, countingMs),
    ingresses: run(ingressReconciler(parts), 8, countingMs),
    strangers: run(strangersReconciler(parts), 1),
    volumeClaims: run(volumeClaimReconciler({ ...parts, zones }), 8),
    persistentVolumes: run(persistentVolumeReconciler(parts), 8),
    names: run(namesReconciler(parts), 4, endpointsPauseMs),
    launcher: run(launcherReconciler({ ...parts, machinesMax, monotonicMs }), 1),
    launches: run(launchReconciler({ ...parts, monotonicMs, finishedKeepSeconds }), 8, countingMs),
  };
}
