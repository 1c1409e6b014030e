import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { Send } from "./api.ts";
import { elbCode } from "./balancer-errors.ts";
import type { Inventory } from "./balancer-inventory.ts";
import type { Network } from "./network.ts";

/** What every step of making or ending a balancer needs. */
export type Workshop = {
  send: Send;
  network: Network;
  inventory: Inventory;
  /** Changes that were made by hand are undone. */
  repairs: boolean;
  /** Repeats a call while it fails with one of these codes: something else has to end first. */
  patiently<Result>(codes: readonly string[], call: () => Promise<Result>): Promise<Result>;
};

const patienceMs = 60_000;
const pauseMs = 5_000;

export function patience(clock: Clock, signal: AbortSignal | undefined): Workshop["patiently"] {
  return async (codes, call) => {
    const untilMs = clock.monotonicMs() + patienceMs;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!codes.includes(elbCode(error))) throw error;
        // What is still in the way after that, network interfaces above all, may stay for minutes.
        if (clock.monotonicMs() + pauseMs > untilMs) throw stillBusy(error);
      }
      await clock.sleep(pauseMs, signal);
    }
  };
}

const stillBusy = (error: unknown): DroverError => {
  const details = error instanceof DroverError ? error.details : {};
  const said = error instanceof Error ? error.message : "";
  return new DroverError(
    "CLOUD_UNAVAILABLE",
    `AWS is not ready for it yet; it is tried again. ${said}`,
    details,
    error,
  );
};
