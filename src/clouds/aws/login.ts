import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";

export type LoginOptions = {
  /** Told once when AWS stops accepting the credentials, with a sentence that says what to do. */
  onPause?: (message: string) => void;
  /** Told once when it accepts them again. */
  onResume?: () => void;
  /** Forgets the credentials, so that those of a new login are found. */
  refresh?: () => void;
};

/** While the credentials are not accepted, one call in this time goes through to see whether there has been a login. */
const probeMs = 10_000;

/** Lets calls through while AWS accepts the credentials, and one now and then while it doesn't. */
export type Login = {
  /** Whether this call is the one that looks for a new login. @throws CLOUD_AUTH: it isn't, and there was none */
  enter(): { isProbe: boolean };
  /** What became of a call that entered: an error when the credentials were not accepted, undefined when AWS can't say. */
  leave(pass: { isProbe: boolean }, outcome: "accepted" | DroverError | undefined): void;
  /** The error that everybody meets meanwhile: services say it in words of their own. */
  told(error: DroverError): DroverError;
};

/** `told`: nobody needs to say it again. */
const copyOf = ({ code, message, details }: DroverError): DroverError =>
  new DroverError(code, message, { ...details, told: 1 });

export function openLogin(clock: Clock, { onPause, onResume, refresh }: LoginOptions = {}): Login {
  let paused: { error: DroverError; probeAtMs: number; isProbing: boolean } | undefined;
  return {
    enter() {
      if (!paused) return { isProbe: false };
      if (paused.isProbing || clock.monotonicMs() < paused.probeAtMs) throw copyOf(paused.error);
      paused.isProbing = true;
      refresh?.();
      return { isProbe: true };
    },
    told: (error) => copyOf(paused?.error ?? error),
    leave({ isProbe }, outcome) {
      const probeAtMs = clock.monotonicMs() + probeMs;
      if (outcome === "accepted") {
        if (!isProbe) return;
        paused = undefined;
        onResume?.();
        return;
      }
      if (outcome && !paused) onPause?.(outcome.message);
      const error = paused?.error ?? outcome;
      if (error && (isProbe || !paused)) paused = { error, probeAtMs, isProbing: false };
    },
  };
}
