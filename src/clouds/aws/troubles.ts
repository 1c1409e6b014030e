import type { Clock } from "../../base/clock.ts";
import type { Denial } from "../cloud.ts";

/** So long a denial is left to the controller whose call it was: what that one tells is nearer to what is concerned. */
const settledAfterMs = 15_000;
/** An action that was not denied again for so long is permitted by now, or not needed any more. */
const forgottenAfterMs = 600_000;

export type Denials = {
  note(denial: Denial): void;
  /** Those of the last ten minutes, one an action. */
  list(): Denial[];
};

export function openDenials({ monotonicMs }: Pick<Clock, "monotonicMs">): Denials {
  const known = new Map<string, Denial & { firstMs: number; lastMs: number }>();
  const forget = () => {
    for (const [action, { lastMs }] of known) if (lastMs + forgottenAfterMs <= monotonicMs()) known.delete(action);
  };
  return {
    note({ action, message }) {
      forget();
      const firstMs = known.get(action)?.firstMs ?? monotonicMs();
      known.set(action, { action, message, firstMs, lastMs: monotonicMs() });
    },
    list() {
      forget();
      return [...known.values()]
        .filter(({ firstMs }) => firstMs + settledAfterMs <= monotonicMs())
        .map(({ action, message }) => ({ action, message }));
    },
  };
}
