import { setMaxListeners } from "node:events";
import { kinds } from "../api/kinds.ts";
import type { Pod } from "../api/types.gen.ts";
import type { MachineTemplate } from "../clouds/cloud.ts";
import { machineTemplate } from "../machines/template.ts";
import type { View } from "../registry/view.ts";
import { openAct } from "./act.ts";
import { openBalancerBook } from "./balancer-book.ts";
import { openBindings } from "./bindings.ts";
import { openClaims } from "./claims.ts";
import { diskNeeds, openDiskPoll } from "./disk-poll.ts";
import { type MachineImages, openMachineImages } from "./machine-images.ts";
import { openMemory } from "./memory.ts";
import { openNamesBook } from "./names-book.ts";
import { openNamesOnly } from "./names-only.ts";
import { openOwnerIndex } from "./owner-index.ts";
import { openPoll } from "./poll.ts";
import { type ControllerOptions, type Run, startReconcilers } from "./reconcilers.ts";
import { openRoster } from "./roster.ts";
import { openRoutes } from "./routes.ts";
import { anyResource, type Runner, runReconciler } from "./run.ts";
import { unobservedNotices } from "./unobserved.ts";

export type Controllers = {
  /** Everything that the provider has for this cluster has been seen once: nothing that was lost is made twice. */
  hasLooked(): boolean;
  /** Nothing is being worked on; keys may wait for a time. */
  idle(): boolean;
  /** The provider answers again: everything that failed is tried at once. */
  kick(): void;
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
  const names = openNamesBook(clock);
  const namesOnly = openNamesOnly(client.view, options.namesByDefault ?? false);
  const roster = openRoster(client);
  const owners = openOwnerIndex(client);
  const runners: Runner[] = [];
  const retry = () => {
    for (const runner of runners) runner.retry();
  };
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
    onUnobserved: async (why) => {
      for (const notice of unobservedNotices(why, shared)) await act({ do: "tell", notice }, signal);
    },
    onRecovery: retry,
  });
  const disks = openDiskPoll({
    clock,
    volumes: cloud.volumes,
    log,
    signal,
    ...diskNeeds(client.view),
    busy: () => roster.isBusy() || disks.disks().some(({ state }) => !["available", "attached"].includes(state)),
    onChange: (ids) => route.seenDisks(ids),
  });
  const images = openMachineImages({ ...options, view: client.view });
  const bindingOf = openBindings({ ...options, namesOnly });
  const shared = { view: client.view, book, memory, names, namesOnly, roster, owners, poll, disks, images };
  const act = openAct({ ...options, ...shared, bindingOf });
  const run: Run = (reconciler, concurrency, pauseMs = 0) => {
    const runner = runReconciler(reconciler, { client, clock, log, signal, act, concurrency, pauseMs });
    runners.push(runner);
    return runner;
  };
  const templateOf = (pod: Pod) => templateFor(pod, options, images);
  const claims = openClaims({ poll, book, roster, images, view: client.view, templateOf, clock });
  const unidentify = client.identifyWith(claims.identify);
  const parts = { ...options, ...shared, claims, templateOf };
  const route = openRoutes(parts, startReconcilers(parts, run));
  const unlisten = boxes.onChange(route.heard);
  const unsubscribe = client.subscribe(({ key, before, after }) => {
    for (const object of [before, after]) {
      if (object) for (const runner of runners) runner.changed(key.resource, object);
    }
    if (roster.isBusy()) poll.kick();
  });
  for (const runner of runners) showAll(runner, client.view);
  poll.start();
  disks.start();
  return {
    hasLooked: () => poll.complete() && book.completeMs() !== undefined && disks.complete(),
    idle: () => runners.every((runner) => runner.idle()),
    kick() {
      retry();
      poll.kick();
    },
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

/** @throws DroverError when no machine can be made for this Pod */
function templateFor(pod: Pod, options: ControllerOptions, images: MachineImages): MachineTemplate {
  const image = images.imageOf(pod);
  const serviceAccount = accountAnnotations(options.client.view, pod);
  return machineTemplate(pod, { ...options, serviceAccount, ...(image && { image }) });
}

/** What is there already is news to a reconciler that starts. */
function showAll(runner: Runner, view: View): void {
  for (const resource of runner.resources.flatMap((each) => (each === anyResource ? everyResource : [each]))) {
    for (const object of view.list(resource)) runner.changed(resource, object);
  }
}

const everyResource = [...new Set([...kinds.values()].map(({ resource }) => resource))];

/** They name what a Pod's machine may do at the provider. */
const accountAnnotations = (view: View, { metadata, spec }: Pod): Record<string, string> =>
  view.get("serviceaccounts", metadata.namespace ?? "default", spec.serviceAccountName ?? "default")?.metadata
    .annotations ?? {};
