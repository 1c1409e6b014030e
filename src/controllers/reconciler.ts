import type { ObjectKey, Resource } from "../api/object.ts";
import type { View } from "../registry/view.ts";

/**
 * A controller in two pure halves. `observe` reads, `plan` decides, run.ts acts: only run.ts has side effects, and it
 * repeats a failed key with backoff, 1 to 300 s. Level-based: a key is looked at again after anything it watches has
 * changed, so a plan names one safe step from what is, never a script of what was meant.
 */
export interface Reconciler<World, Action> {
  readonly name: string;
  /** Resources whose changes queue keys, and which keys each change queues. */
  readonly watches: Readonly<Record<Resource, (object: unknown, view: View) => readonly ObjectKey[]>>;
  /** `undefined`: the object is gone, nothing to do. */
  observe(key: ObjectKey): World | undefined;
  /** Pure and total: same world and time, same plan; throws on no world that the API accepts. */
  plan(world: World, nowMs: number): Plan<Action>;
}

/** `againInMs`: look again then, even if nothing changed. Actions are carried out in order; a failure ends the rest. */
export type Plan<Action> = { actions: readonly Action[]; againInMs?: number };
