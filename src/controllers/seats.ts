import type { Pod } from "../api/types.gen.ts";
import type { LaunchRecord, View } from "../registry/view.ts";
import { looksAround, type NamespaceLabels, type Seat } from "./neighbours.ts";
import { offerLabel } from "./offer-labels.ts";
import { isFinished } from "./owned.ts";
import type { Roster } from "./roster.ts";

/** Pods that have a machine or are about to get one, and the labels of namespaces. */
export type Surroundings = { seats: readonly Seat[]; namespaces: NamespaceLabels };

/** What Pods need to know of others to be placed; undefined when nobody looks at anybody. */
export function surroundings(
  waiting: readonly Pod[],
  view: View,
  roster: Pick<Roster, "podByUid">,
): Surroundings | undefined {
  const isAsked = waiting.some(looksAround) || (waiting.length > 0 && view.list("pods").some(wantsDistance));
  if (!isAsked) return undefined;
  return {
    seats: view.list("launches.drover.dev").flatMap((record) => seatsOf(record, roster)),
    namespaces: new Map(view.list("namespaces").map(({ metadata }) => [metadata.name, metadata.labels ?? {}])),
  };
}

/** What such a Pod does not want beside it is kept away from it, too. */
const wantsDistance = ({ spec }: Pod): boolean =>
  (spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).length > 0;

function seatsOf({ spec, status }: LaunchRecord, roster: Pick<Roster, "podByUid">): Seat[] {
  const { slots, template } = spec;
  const offer = { ...spec.placement, architecture: template.architecture };
  const uids = status?.done ? status.machines.flatMap(({ slot }) => slots[slot] ?? []) : slots;
  const labelOf = (key: string) => offerLabel(offer, key);
  return uids.flatMap((uid) => {
    const pod = roster.podByUid(uid);
    return pod && !isFinished(pod) ? [{ pod, labelOf }] : [];
  });
}
