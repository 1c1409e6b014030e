import type { KubeObject } from "../api/object.ts";
import { ApiError } from "../api/status.ts";
import type { Pod } from "../api/types.gen.ts";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { DroverError, isCode } from "../base/errors.ts";
import type { Binding, Boxes } from "../clouds/box.ts";
import type { Cloud, Launch } from "../clouds/cloud.ts";
import type { Client } from "../registry/client.ts";
import { actOnDisk } from "./act-disks.ts";
import type { BalancerBook } from "./balancer-book.ts";
import { openBatch } from "./batch.ts";
import type { DiskPoll } from "./disk-poll.ts";
import { driftNotice } from "./drift.ts";
import { tell } from "./events.ts";
import type { MachineImages } from "./machine-images.ts";
import type { Memory } from "./memory.ts";
import type { NamesBook } from "./names-book.ts";
import type { Poll } from "./poll.ts";
import type { Action, Notice } from "./reconciler.ts";
import type { Log } from "./run.ts";

export type ActOptions = {
  client: Client;
  cloud: Cloud;
  boxes: Boxes;
  clock: Clock;
  log: Log;
  poll: Poll;
  book: BalancerBook;
  memory: Memory;
  names: NamesBook;
  disks: DiskPoll;
  images: Pick<MachineImages, "lookUp">;
  /** What a machine is told of its Pod. @throws DroverError */
  bindingOf: (pod: Pod, machineId: string, address: string) => Promise<Binding>;
};

const manager = { manager: "kube-controller-manager" };
/** Actions carried out side by side. */
const togetherMax = 64;
/** Refusals that say for certain that nothing was launched and that the same call is not to be repeated. */
const finalCodes = new Set(["CLOUD_CAPACITY", "CLOUD_QUOTA", "CLOUD_INVALID"]);

/** Refusals that stay until somebody changes a manifest, a policy or a quota. */
const lastingCodes = new Set(["CLOUD_INVALID", "CLOUD_AUTH", "CLOUD_QUOTA"]);

/** Carries out what controllers plan. Every action may be repeated after a crash. */
export function openAct(options: ActOptions): (action: Action, signal: AbortSignal) => Promise<void> {
  const { cloud, boxes, clock, poll, book, memory } = options;
  const terminate = openBatch(clock, { windowMs: 100, itemsMax: 500 }, async (ids) => {
    await cloud.machines.terminate(ids);
    poll.kick();
  });

  async function act(action: Action, signal: AbortSignal): Promise<void> {
    switch (action.do) {
      case "create":
        return create(options, action);
      case "write":
        return write(options, action);
      case "delete":
        return remove(options, action);
      case "tell":
        return say(options, action.notice);
      case "tellReported":
        memory.toldUpTo.set(action.machineId, action.upTo);
        for (const notice of action.notices) await say(options, notice);
        return;
      case "together":
        return together(action, (each) => act(each, signal));
      case "refreshOffers":
        return poll.refreshOffers(signal);
      case "checkDrift":
        for (const message of (await cloud.drift?.(signal)) ?? []) await say(options, driftNotice(message));
        return;
      case "lookUpImage":
        return options.images.lookUp(action.lookup, signal);
      case "launch":
        return launch(options, action.recordName, action.launch, signal);
      case "terminate":
        memory.endAsked.set(action.machineId, {
          atMs: clock.monotonicMs(),
          times: (memory.endAsked.get(action.machineId)?.times ?? 0) + 1,
        });
        return terminate(action.machineId);
      case "bind":
      case "updateFiles":
        return instruct(options, action, signal);
      case "stop":
        return boxes.stop(action.machineId, action.graceSeconds, signal).catch((error: unknown) => {
          // Its grace runs all the same, and the next look asks again.
          if (!isCode(error, "BOX_UNREACHABLE")) throw error;
        });
      case "ensureBalancer":
        return ensureBalancer(options, action, signal);
      case "removeBalancer": {
        const call = book.removing(action.id);
        await cloud.balancers.remove(action.id, signal);
        call.done();
        return poll.kick();
      }
      case "provision":
      case "lookForDisks":
      case "growDisk":
      case "attachDisk":
      case "detachDisk":
      case "removeDisk":
        return actOnDisk(options, action, signal);
      case "changeNames":
        await cloud.names.change(action.records, signal);
        options.names.changed(action.records);
        return;
      case "openRedirects":
        return cloud.redirects?.(action.ports, signal);
    }
  }
  return act;
}

/**
 * Whatever is wrong with a balancer, the Pods behind it come and go: one that can't be changed gets their targets,
 * unless it is to serve by other groups than it does.
 */
async function ensureBalancer(
  { book, cloud, poll }: ActOptions,
  { spec, isReplacing }: Extract<Action, { do: "ensureBalancer" }>,
  signal: AbortSignal,
): Promise<void> {
  const call = book.ensuring(spec);
  try {
    await cloud.balancers.ensure(spec, signal);
    call.done();
  } catch (error) {
    const isForGood = error instanceof DroverError && lastingCodes.has(error.code);
    if (!isForGood || isReplacing || !cloud.balancers.retarget) call.failed();
    else await cloud.balancers.retarget(spec, signal).then(call.retargeted, call.failed);
    throw error;
  }
  poll.kick();
}

/** Telling is a courtesy: when it fails (its namespace is ending), nothing else does. */
async function say({ client, clock, log }: ActOptions, notice: Notice, inserted?: string): Promise<void> {
  const message = inserted === undefined ? notice.message : notice.message.replace("{}", () => inserted);
  try {
    await tell(client, clock, { ...notice, message });
  } catch (error) {
    log.debug({ error }, `An Event could not be written: ${String(error)}`);
  }
}

/** Gives the machine its Pod, or newer files for it. */
async function instruct(options: ActOptions, action: Of<"bind"> | Of<"updateFiles">, signal: AbortSignal) {
  const { boxes, memory, clock } = options;
  const { machineId, sources } = action;
  const binding = await options.bindingOf(action.pod as Pod, machineId, action.address); // Planned for Pods alone.
  const volumes = binding.volumes.filter(({ kind }) => kind === "files");
  if (action.do === "bind") await boxes.bind(machineId, binding, signal);
  else await boxes.update(machineId, { volumes, redirects: binding.redirects ?? [] }, signal);
  memory.sourcesSent.set(machineId, { sources, atMs: clock.monotonicMs() });
}

type Of<Do extends Action["do"]> = Extract<Action, { do: Do }>;

async function create(options: ActOptions, { resource, object, told, refused }: Of<"create">): Promise<void> {
  try {
    const made: KubeObject = await options.client.create(resource, object, manager);
    if (told) await say(options, told, made.metadata.name);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (refused) await say(options, refused, error.message);
    // The object is there already: what watches it looks again.
    if (error.status.reason !== "AlreadyExists") throw error;
  }
}

async function write(options: ActOptions, { key, next, subresource, told }: Of<"write">): Promise<void> {
  const seen = next.metadata.resourceVersion;
  assert(seen !== undefined && seen !== "", "a write carries the version that was observed");
  let isWritten = false;
  const change = (current: KubeObject) => {
    isWritten = current.metadata.resourceVersion === seen;
    return isWritten ? next : undefined;
  };
  await options.client.update(key, change, { ...manager, ...(subresource && { subresource }) });
  if (told && isWritten) await say(options, told);
}

async function remove(options: ActOptions, { key, uid, graceSeconds, propagation, told }: Of<"delete">): Promise<void> {
  try {
    await options.client.delete(key, {
      preconditions: { uid },
      ...(graceSeconds !== undefined && { gracePeriodSeconds: graceSeconds }),
      propagationPolicy: propagation ?? "Background",
    });
    if (told) await say(options, told);
  } catch (error) {
    if (!(error instanceof ApiError && error.status.code === 409)) throw error; // Another object of this name.
  }
}

async function together({ actions, untilFailure }: Of<"together">, act: (action: Action) => Promise<void>) {
  const queue = [...actions];
  const failures: unknown[] = [];
  const worker = async () => {
    for (let action = queue.shift(); action; action = queue.shift()) {
      await act(action).catch((error: unknown) => failures.push(error));
      if (untilFailure && failures.length > 0) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(togetherMax, actions.length) }, worker));
  if (failures.length > 0) throw failures[0];
}

/** The call of a launch record; its answer, or its final refusal, is written into the record. */
async function launch(options: ActOptions, name: string, call: Launch, signal: AbortSignal): Promise<void> {
  const { client, cloud, poll } = options;
  const key = { resource: "launches.drover.dev" as const, namespace: "", name };
  const settle = (status: { done: boolean; machines: Awaited<ReturnType<Cloud["machines"]["launch"]>> } & object) =>
    client.update(key, (record) => ({ ...record, status: { ...status, machines: [...status.machines] } }), {
      ...manager,
      subresource: "status",
    });
  try {
    const machines = await cloud.machines.launch(call, signal);
    await settle({ done: true, machines });
    poll.kick();
  } catch (error) {
    if (!(error instanceof DroverError) || !finalCodes.has(error.code)) throw error;
    await settle({ done: true, machines: [], ...{ failure: { code: error.code, message: error.message } } });
  }
}
