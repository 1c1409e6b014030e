import { setMaxListeners } from "node:events";
import { kinds } from "../api/kinds.ts";
import type { Pod } from "../api/types.gen.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Boxes } from "../clouds/box.ts";
import type { MachineTemplate } from "../clouds/cloud.ts";
import { volumeName } from "../machines/disks.ts";
import { machineTemplate, type TemplateOptions } from "../machines/template.ts";
import type { View } from "../registry/view.ts";
import { openAct } from "./act.ts";
import { type ApiAddress, apiServiceReconciler } from "./api-service.ts";
import { type BalancerBook, openBalancerBook } from "./balancer-book.ts";
import { type BindingOptions, openBindings } from "./bindings.ts";
import { type Claims, openClaims } from "./claims.ts";
import { deploymentReconciler } from "./deployments.ts";
import { type DiskPoll, openDiskPoll } from "./disk-poll.ts";
import { disruptionReconciler } from "./disruption.ts";
import { endpointsReconciler } from "./endpoints.ts";
import { expiryKey, expiryReconciler } from "./expiry.ts";
import { frontendKey, frontendName, frontendResource, isFrontend } from "./frontend.ts";
import { garbageReconciler } from "./garbage.ts";
import { launcherKey, launcherReconciler } from "./launcher.ts";
import { launchReconciler } from "./launches.ts";
import { type Memory, openMemory, prune } from "./memory.ts";
import { namesReconciler } from "./names.ts";
import { namespaceReconciler } from "./namespaces.ts";
import { nodeReconciler } from "./nodes.ts";
import { keyOf } from "./owned.ts";
import { type OwnerIndex, openOwnerIndex } from "./owner-index.ts";
import { persistentVolumeReconciler } from "./persistent-volumes.ts";
import { podOn, podReconciler } from "./pods.ts";
import { openPoll, type Poll, type PollChange } from "./poll.ts";
import type { Reconciler } from "./reconciler.ts";
import { replicaSetReconciler } from "./replicasets.ts";
import { openRoster, type Roster } from "./roster.ts";
import { anyResource, type Log, type Runner, runReconciler } from "./run.ts";
import { serviceReconciler } from "./services.ts";
import { strangersKey, strangersReconciler } from "./strangers.ts";
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
  /** Time between two looks at the provider while something is under way (default 500), and at rest (10,000). */
  pollFastMs?: number;
  pollSlowMs?: number;
  /** How long the machine of a finished Pod is kept for its logs. Default: 600. */
  finishedKeepSeconds?: number;
} & TemplateOptions &
  BindingOptions;

export type Controllers = {
  /** Nothing is being worked on; keys may wait for a time. */
  idle(): boolean;
  /** Begins nothing more and resolves when what was begun is over. Machines and balancers go on. */
  stop(): Promise<void>;
};

/** Everything that turns objects into machines: starts at once, from what the store and the provider have. */
export function startControllers(options: ControllerOptions): Controllers {
  const { client, cloud, boxes, clock, log } = options;
  const stop = new AbortController();
  const { signal } = stop;
  setMaxListeners(0, signal); // One a queue, and those of the calls under way.
  const book = openBalancerBook(clock);
  const memory = openMemory();
  const roster = openRoster(client);
  const owners = openOwnerIndex(client);
  const runners: Runner[] = [];
  const poll = openPoll({
    clock,
    cloud,
    book,
    log,
    signal,
    fastMs: options.pollFastMs ?? 500,
    slowMs: options.pollSlowMs ?? 10_000,
    busy: () => roster.isBusy() || runners.some((runner) => !runner.idle()),
    expected: roster.machineIds,
    onChange: (change) => route.polled(change),
  });
  const disks = openDiskPoll({
    clock,
    volumes: cloud.volumes,
    log,
    signal,
    needed: () => ["persistentvolumeclaims", "persistentvolumes"].some((each) => client.view.list(each).length > 0),
    busy: () => roster.isBusy() || disks.disks().some(({ state }) => !["available", "attached"].includes(state)),
    onChange: (ids) => route.seenDisks(ids),
  });
  const bindingOf = openBindings(options);
  const act = openAct({ client, cloud, boxes, clock, log, poll, book, memory, disks, bindingOf });
  const run: Run = (reconciler, concurrency, pauseMs = 0) => {
    const runner = runReconciler(reconciler, { client, clock, log, signal, act, concurrency, pauseMs });
    runners.push(runner);
    return runner;
  };
  const templateOf = (pod: Pod) =>
    machineTemplate(pod, { ...options, serviceAccount: accountAnnotations(client.view, pod) });
  const claims = openClaims({ poll, book, roster, view: client.view, templateOf, clock });
  const unidentify = client.identifyWith(claims.identify);
  const parts = { ...options, view: client.view, book, memory, roster, owners, poll, disks, claims, templateOf };
  const route = openRoutes(parts, startAll(parts, run));
  const unlisten = boxes.onChange(route.heard);
  const unsubscribe = client.subscribe(({ key, before, after }) => {
    for (const object of [before, after]) {
      if (object) for (const runner of runners) runner.changed(key.resource, object);
    }
    if (roster.isBusy()) poll.kick();
  });
  for (const runner of runners) {
    for (const resource of runner.resources.flatMap((each) => (each === anyResource ? everyResource : [each]))) {
      for (const object of client.view.list(resource)) runner.changed(resource, object);
    }
  }
  poll.start();
  disks.start();
  return {
    idle: () => runners.every((runner) => runner.idle()),
    async stop() {
      stop.abort();
      unsubscribe();
      unidentify();
      unlisten();
      roster.close();
      owners.close();
      await Promise.all(runners.map((runner) => runner.drained()));
    },
  };
}

const everyResource = [...new Set([...kinds.values()].map(({ resource }) => resource))];

type Run = <World>(reconciler: Reconciler<World>, concurrency: number, pauseMs?: number) => Runner;
type Parts = ControllerOptions & {
  view: View;
  book: BalancerBook;
  memory: Memory;
  roster: Roster;
  owners: OwnerIndex;
  poll: Poll;
  disks: DiskPoll;
  claims: Claims;
  templateOf: (pod: Pod) => MachineTemplate;
};

/** They name what a Pod's machine may do at the provider. */
const accountAnnotations = (view: View, { metadata, spec }: Pod): Record<string, string> =>
  view.get("serviceaccounts", metadata.namespace ?? "default", spec.serviceAccountName ?? "default")?.metadata
    .annotations ?? {};

/** Changes that come within this time are one change for what counts Pods. */
const countingPauseMs = 100;
const endpointsPauseMs = 500;

/** One runner a reconciler; the first number is the keys that it works on at once. */
function startAll(parts: Parts, run: Run) {
  const { view, clock, machinesMax = 1_000, finishedKeepSeconds = 600 } = parts;
  const monotonicMs = clock.monotonicMs;
  const { poll } = parts;
  // The store may be one that was lost: machines are looked for before Pods are made.
  const unseen = () => !poll.complete();
  const zones = () => [...new Set(poll.offers()?.list.map(({ zone }) => zone))];
  run(namespaceReconciler(view, parts.rootCertificate ?? ""), 4);
  run(garbageReconciler(view, parts.owners), 16);
  run(apiServiceReconciler(view, parts.apiAddress), 1);
  run(expiryReconciler(view), 1).add(expiryKey);
  run(endpointsReconciler(view), 8, endpointsPauseMs);
  run(disruptionReconciler(view), 8, countingPauseMs);
  run(deploymentReconciler(view), 8, countingPauseMs);
  run(replicaSetReconciler(view, unseen), 8, countingPauseMs);
  return {
    pods: run(podReconciler({ ...parts, balancerId: frontendName }), 64),
    nodes: run(nodeReconciler(parts), 16),
    services: run(serviceReconciler(parts), 8, countingPauseMs),
    strangers: run(strangersReconciler(parts), 1),
    volumeClaims: run(volumeClaimReconciler({ ...parts, zones }), 8),
    persistentVolumes: run(persistentVolumeReconciler(parts), 8),
    names: run(namesReconciler(parts), 4, endpointsPauseMs),
    launcher: run(launcherReconciler({ ...parts, machinesMax, monotonicMs }), 1),
    launches: run(launchReconciler({ ...parts, monotonicMs, finishedKeepSeconds }), 8, countingPauseMs),
  };
}

/** What news from the provider and the machines queues. */
function openRoutes({ view, roster, poll, disks, boxes, memory, clock }: Parts, to: ReturnType<typeof startAll>) {
  const nodeKey = (name: string) => ({ resource: "nodes", namespace: "", name });

  function sighted(machineId: string): void {
    to.nodes.add(nodeKey(machineId));
    const uid = roster.podUidOf(machineId) ?? "";
    const name = roster.seatOf(uid)?.recordName ?? poll.sight(machineId).machine?.launchId;
    if (name) to.launches.add({ resource: "launches.drover.dev", namespace: "", name });
    seenDisksOf(machineId);
    const pod = roster.podByUid(uid);
    if (!pod) return;
    to.pods.add(keyOf("pods", pod));
    to.services.changed("pods", pod);
  }

  function seenDisk(id: string): void {
    to.persistentVolumes.add({ resource: "persistentvolumes", namespace: "", name: id });
    for (const claim of view.list("persistentvolumeclaims")) {
      if (volumeName(claim.metadata.uid ?? "") === id) to.volumeClaims.add(keyOf("persistentvolumeclaims", claim));
    }
  }
  const seenDisksOf = (machineId: string) => {
    for (const disk of disks.disks()) if (disk.machineId === machineId) seenDisk(disk.id);
  };

  return {
    seenDisks(ids: readonly string[]): void {
      for (const id of ids) seenDisk(id);
      if (ids.length === 0) for (const { metadata } of view.list("persistentvolumes")) seenDisk(metadata.name);
    },
    /** A machine's inside has changed. */
    heard(machineId: string): void {
      seenDisksOf(machineId);
      for (const key of podOn(roster, machineId)) to.pods.add(key);
      to.nodes.add(nodeKey(machineId));
    },
    polled({ machineIds, balancerIds, targetIds }: PollChange): void {
      for (const machineId of machineIds) sighted(machineId);
      if (machineIds.length > 0) {
        to.launcher.add(launcherKey);
        to.strangers.add(strangersKey);
      }
      prune(memory, (id) => roster.podUidOf(id) !== undefined, clock.wallMs());
      const running = poll.machines().filter(({ state }) => state === "running");
      boxes.follow(running.filter(({ id }) => roster.podUidOf(id) !== undefined));
      for (const id of balancerIds) {
        const record = view.get(frontendResource, "", id);
        if (record && isFrontend(record)) {
          to.services.add(frontendKey(record.spec.service));
          to.names.add(frontendKey(record.spec.service));
        }
      }
      for (const machineId of targetIds) for (const key of podOn(roster, machineId)) to.pods.add(key);
    },
  };
}
