/** Rounds of work that each cost a call: what comes while a round is waited for shares it. */
export type Pace = {
  /** How long until the next round may begin; 0: at once. */
  leftMs(): number;
  /** A round begins. */
  take(): void;
};

/** Lets `burst` rounds through at once, and from then on one in `everyMs`. */
export function openPace(monotonicMs: () => number, { burst, everyMs }: { burst: number; everyMs: number }): Pace {
  let rounds = burst;
  let atMs = monotonicMs();
  const refill = () => {
    const nowMs = monotonicMs();
    rounds = Math.min(burst, rounds + (nowMs - atMs) / everyMs);
    atMs = nowMs;
  };
  return {
    leftMs() {
      refill();
      return rounds >= 1 ? 0 : Math.ceil((1 - rounds) * everyMs);
    },
    take() {
      refill();
      rounds -= 1;
    },
  };
}
