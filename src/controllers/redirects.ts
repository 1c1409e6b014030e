import type { ObjectKey } from "../api/object.ts";
import type { MachineTemplate } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import { clusterNotice, isTold } from "./events.ts";
import type { NamesOnly } from "./names-only.ts";
import type { Action, Notice, Reconciler } from "./reconciler.ts";
import { redirectedPorts } from "./redirected-ports.ts";

export const redirectsKey: ObjectKey = { resource: "redirects", namespace: "", name: "all" };

/** The network may have grown. */
const lookMs = 600_000;

type RedirectsWorld = { ports: NonNullable<MachineTemplate["ports"]>; notices: readonly Notice[] };
export type RedirectsOptions = { view: View; namesOnly: NamesOnly };

/**
 * Ports of Services that machines redirect: the provider judges what comes before the machines do.
 * Asked for anew at each change of a Service, which costs nothing while the ports are the same.
 */
export const redirectsReconciler = ({ view, namesOnly }: RedirectsOptions): Reconciler<RedirectsWorld> => ({
  name: "redirects",
  watches: { services: () => [redirectsKey], namespaces: () => [redirectsKey] },
  observe(_key, failure) {
    const notices = failure === undefined ? [] : [failureNotice(failure)];
    return { ports: redirectedPorts(view, namesOnly), notices: notices.filter((notice) => !isTold(view, notice)) };
  },
  plan: ({ ports, notices }) => ({
    actions: [...notices.map((notice): Action => ({ do: "tell", notice })), { do: "openRedirects", ports }],
    againInMs: lookMs,
  }),
});

const failureNotice = (failure: string): Notice =>
  clusterNotice("SyncRedirectsFailed", `Ports of Services that machines redirect can't be opened: ${failure}`);
