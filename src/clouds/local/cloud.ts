import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Cloud } from "../cloud.ts";
import { openBalancers } from "./balancers.ts";
import { ensureClusterFolder } from "./detached.ts";
import { ensureEgress } from "./egress.ts";
import { type Log, openHolder } from "./holder-client.ts";
import { buildGuestImage } from "./image.ts";
import { openMachines } from "./machines.ts";
import { openNames } from "./names.ts";
import { gatewayAddress } from "./network.ts";
import { openPublisher } from "./publisher-client.ts";
import { findAccelerator } from "./qemu.ts";
import { ensureRegistry, loadedDigest, registryMirror } from "./registry.ts";
import { openSavedMachines } from "./saved-machines.ts";
import { openTools } from "./tools.ts";
import { openVolumes } from "./volumes.ts";

export type LocalCloudOptions = {
  /** The folder of everything that drover keeps on this computer. */
  home: string;
  cluster: string;
  clock: Clock;
  random: Random;
  log: Log;
  /** Every machine boots by itself. Absent: under software emulation they are clones of a saved one. */
  cold?: boolean;
};

/** `reach`: `IP PORT\n` into this unix socket makes it a connection to that port of a machine. */
export type LocalCloud = Cloud & { reach: { kind: "unix"; path: string } };

const domain = "cluster.local";

/**
 * Machines on the user's own computer. What serves outlives this process: a second call finds the machines, balancers
 * and names as they are. The first one ever builds the guest image and the tools, which takes a minute or two.
 * @throws SETUP_MISSING, CLOUD_UNAVAILABLE, CLOUD_INVALID (the folder's name is too long for the sockets in it)
 */
export async function openLocalCloud({
  home,
  cluster,
  clock,
  log,
  cold = false,
}: LocalCloudOptions): Promise<LocalCloud> {
  const folder = ensureClusterFolder(home, cluster);
  const progress = (line: string) => log.info(line);
  const tools = await openTools({ progress });
  const image = await buildGuestImage({ progress });
  const accelerator = await findAccelerator(image);
  const holder = await openHolder({ home, cluster, clock, log });
  const publisher = await openPublisher({ home, cluster, clock });
  await ensureEgress({ folder, holder, publisher, tools, clock, log });
  await ensureRegistry({ home, folder, holder, tools, clock });
  const digestOf = (reference: string) => loadedDigest(home, reference);
  const saved = openSavedMachines({ holder, image, clock, log, registryMirror, digestOf });
  const machines = await openMachines({ folder, holder, image, accelerator, saved, cold, clock, log });
  const machine = async (id: string) => (await machines.observe()).machines.find((each) => each.id === id);
  return {
    machines,
    balancers: openBalancers({ folder, holder, publisher, tools, clock, log }),
    volumes: openVolumes({ folder, clock, machine }),
    names: openNames({ folder, domain, holder }),
    surroundings: async () => ({ nameservers: [gatewayAddress], registryMirror }),
    reach: { kind: "unix", path: holder.dialPath },
    async close() {
      await Promise.all([machines.close(), saved.close()]);
      publisher.close();
      holder.close();
    },
  };
}
