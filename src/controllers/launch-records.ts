import type { KubeObject } from "../api/object.ts";
import { assert } from "../base/assert.ts";
import { rfc3339 } from "../base/clock.ts";
import type { Offer } from "../clouds/cloud.ts";
import type { LaunchRecord } from "../registry/view.ts";
import { type Claimable, ownerOf } from "./claims.ts";
import { placementOf, poolOf } from "./ledger.ts";
import type { Wave } from "./placement.ts";
import type { Action } from "./reconciler.ts";
import type { Demand } from "./selection.ts";

/** On a launch: whose Pods it is for, by the uid of their owner. */
export const ownerAnnotation = "drover.dev/owner";

/** A Pod that takes over a machine whose record was lost. */
export type MachineClaim = { demand: Demand; machine: Claimable };

/** Writes the record down, and then says on each Pod what it gets. */
export function launchOf(wave: Wave, cluster: string, id: string, nowMs: number): Action[] {
  const { template, placement, reason: message } = wave;
  const said = { type: "Normal", reason: "MachineChosen", message, source: "default-scheduler" } as const;
  // Where many pools have no capacity, each is chosen for a moment.
  const told = wave.pods.map((about): Action => ({ do: "tell", notice: { about, ...said, isLatest: true } }));
  const slots = wave.pods.map(({ metadata }) => metadata.uid ?? "");
  const names = wave.pods.map(({ metadata }) => metadata.name);
  const [first] = wave.pods;
  assert(first, "a wave has Pods");
  const owner = ownerOf(first);
  const object: LaunchRecord & KubeObject = {
    apiVersion: "drover.dev/v1",
    kind: "Launch",
    metadata: { name: id, annotations: { [ownerAnnotation]: wave.owner } },
    spec: { id, cluster, template, placement, slots, owner, names, requestedAt: rfc3339(nowMs) },
  };
  return [{ do: "create", resource: "launches.drover.dev", object }, ...told];
}

/** The record that a machine would have, had it not been lost: a launch of its own that is done. */
export function claimRecord(
  { demand, machine }: MachineClaim,
  cluster: string,
  offers: readonly Offer[],
  nowMs: number,
): Action {
  const { pod, owner, template } = demand;
  const { type, zone, capacityType = "on-demand", launchId, claim } = machine;
  const placement = { type, zone, capacityType };
  const offer = offers.find((each) => poolOf(each) === poolOf(placement));
  const object: LaunchRecord & KubeObject = {
    apiVersion: "drover.dev/v1",
    kind: "Launch",
    metadata: { name: `claim-${machine.id}`, annotations: { [ownerAnnotation]: owner } },
    spec: {
      id: launchId,
      cluster,
      template,
      placement: offer ? placementOf(offer) : placement,
      slots: [claim.podUid],
      owner: claim.owner,
      names: [claim.podName],
      requestedAt: rfc3339(nowMs),
    },
    status: { done: true, machines: [{ ...machine, slot: 0 }] },
  };
  const message = `Machine ${machine.id} serves this Pod already: it was claimed`;
  const told = { about: pod, type: "Normal", reason: "Claimed", message, source: "drover" } as const;
  return { do: "create", resource: "launches.drover.dev", object, told };
}
