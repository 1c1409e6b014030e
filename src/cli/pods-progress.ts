import type { Pod } from "../api/types.gen.ts";
import { parseTimeMs } from "../base/clock.ts";
import { stageOf } from "../machines/stage.ts";
import { columns } from "./print.ts";

/** One line a Pod: its name, its stage and how long it has lived, oldest first. */
export function podLines(pods: readonly Pod[], nowMs: number): string[] {
  const rows = [...pods]
    .sort((a, b) => createdMs(a) - createdMs(b) || (a.metadata.name < b.metadata.name ? -1 : 1))
    .map((pod) => [
      `  ${pod.metadata.name}`,
      stageText(pod),
      `${Math.max(0, Math.round((nowMs - createdMs(pod)) / 1_000))} s`,
    ]);
  return columns(rows);
}

const createdMs = (pod: Pod): number => parseTimeMs(pod.metadata.creationTimestamp ?? "");

function stageText(pod: Pod): string {
  if (pod.metadata.deletionTimestamp !== undefined) return "Terminating";
  return isReady(pod) ? "Ready" : stageOf(pod);
}

export const isReady = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");
