import type { Machines } from "../cloud.ts";
import { consoleOf } from "./console.ts";
import { type LaunchParts, launchMachines } from "./launch.ts";
import { openPoller, type Poller } from "./poller.ts";
import { terminateMachines } from "./terminate.ts";

export type MachineOptions = LaunchParts & {
  cluster: string;
  offers: Machines["offers"];
  /** Told in one sentence what goes wrong behind the calls. */
  onWarning?: (message: string) => void;
};

/** Launch templates and groups that nothing uses any more are looked for this often, and only while something launches. */
const pruneEveryMs = 3_600_000;

/** The port for machines, and the poller behind it. */
export function openMachines(options: MachineOptions): { machines: Machines; poller: Poller } {
  const { send, clock, images, templates, groups, onWarning } = options;
  const poller = openPoller(send, clock, options);
  let prunedAtMs = clock.monotonicMs();

  async function prune(): Promise<void> {
    if (clock.monotonicMs() - prunedAtMs < pruneEveryMs) return;
    prunedAtMs = clock.monotonicMs();
    const { machines, complete } = await poller.observe();
    if (!complete) return;
    const living = machines.filter(({ state }) => state !== "gone");
    await templates.prune(new Set(living.flatMap(({ claim }) => claim?.templateHash ?? [])));
    await groups.prune();
  }

  const machines: Machines = {
    image: (reference, architecture, signal) => images.find(reference, architecture, signal),
    offers: options.offers,
    async launch(launch, signal) {
      const launched = await launchMachines(options, launch, signal);
      poller.launched(launched);
      await prune().catch((error: unknown) => onWarning?.(`Nothing unused could be deleted: ${String(error)}`));
      return launched;
    },
    async terminate(ids, signal) {
      poller.stirred();
      await terminateMachines(send, ids, signal);
    },
    observe: (signal) => poller.observe(signal),
    console: (id, signal) => consoleOf(send, id, signal),
  };
  return { machines, poller };
}
