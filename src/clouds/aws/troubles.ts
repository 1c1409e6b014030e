import type { Clock } from "../../base/clock.ts";
import type { DroverError } from "../../base/errors.ts";
import type { Trouble } from "../cloud.ts";
import { awsCodeOf, deniedAction, kindOf } from "./errors.ts";

/** So long a trouble is left to the controller whose call it was: what that one tells is nearer to what is concerned. */
const settledAfterMs = 15_000;
/** What was not met again for so long is over, or not needed any more. */
const forgottenAfterMs = 600_000;

export type Troubles = {
  /** Keeps what only the user can mend; drover gets over the rest by itself. */
  note(error: DroverError): void;
  /** AWS accepts the credentials again. */
  loggedIn(): void;
  /** Those of the last ten minutes, one a cause. */
  list(): Trouble[];
};

const login = "does not accept the credentials";

function troubleOf(error: DroverError): Trouble | undefined {
  const { message } = error;
  if (kindOf(error) === "denied") return { reason: "NotPermitted", cause: ` ${deniedAction(error)} `, message };
  if (kindOf(error) === "expired") return { reason: "NotLoggedIn", cause: login, message };
  // A region that there is not.
  if (awsCodeOf(error) === "ENOTFOUND") return { reason: "NoSuchHost", cause: "failed with ENOTFOUND", message };
  return undefined;
}

export function openTroubles({ monotonicMs }: Pick<Clock, "monotonicMs">): Troubles {
  const known = new Map<string, { trouble: Trouble; firstMs: number; lastMs: number }>();
  const forget = () => {
    for (const [cause, { lastMs }] of known) if (lastMs + forgottenAfterMs <= monotonicMs()) known.delete(cause);
  };
  return {
    note(error) {
      const trouble = troubleOf(error);
      if (!trouble) return;
      forget();
      const firstMs = known.get(trouble.cause)?.firstMs ?? monotonicMs();
      known.set(trouble.cause, { trouble, firstMs, lastMs: monotonicMs() });
    },
    loggedIn: () => void known.delete(login),
    list() {
      forget();
      const settled = [...known.values()].filter(({ firstMs }) => firstMs + settledAfterMs <= monotonicMs());
      return settled.map(({ trouble }) => trouble);
    },
  };
}
