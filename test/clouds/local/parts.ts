import { join } from "node:path";
import { systemClock } from "../../../src/base/clock.ts";
import type { Balancers } from "../../../src/clouds/balancer.ts";
import type { Names } from "../../../src/clouds/cloud.ts";
import { openBalancers } from "../../../src/clouds/local/balancers.ts";
import { type Holder, openHolder } from "../../../src/clouds/local/holder-client.ts";
import { openNames } from "../../../src/clouds/local/names.ts";
import { openPublisher } from "../../../src/clouds/local/publisher-client.ts";
import type { Tools } from "../../../src/clouds/local/tools.ts";
import { capture } from "./holder-home.ts";

export type Parts = { holder: Holder; balancers: Balancers; names: Names; folder: string; close(): void };

/** The local cloud of a home without its machines, as one drover after the other opens it. */
export async function openParts(home: string, tools: Tools): Promise<Parts> {
  const folder = join(home, "clusters", "test");
  const log = capture();
  const holder = await openHolder({ home, cluster: "test", clock: systemClock, log });
  const publisher = await openPublisher({ home, cluster: "test", clock: systemClock });
  return {
    holder,
    folder,
    balancers: openBalancers({ folder, holder, publisher, tools, clock: systemClock, log }),
    names: openNames({ folder, domain: "cluster.local", holder }),
    close() {
      holder.close();
      publisher.close();
    },
  };
}
