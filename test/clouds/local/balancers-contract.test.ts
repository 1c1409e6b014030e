import { connect } from "node:net";
import { join } from "node:path";
import { beforeAll, vi } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { openBalancers } from "../../../src/clouds/local/balancers.ts";
import { openHolder } from "../../../src/clouds/local/holder-client.ts";
import { endPublisher, openPublisher } from "../../../src/clouds/local/publisher-client.ts";
import { openTools, type Tools } from "../../../src/clouds/local/tools.ts";
import { type BalancersBench, balancersContract } from "../../contract/balancers.ts";
import { build, capture, eventually, makeHome } from "./holder-home.ts";
import { startTarget } from "./targets.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let tools: Tools;
beforeAll(async () => {
  build();
  tools = await openTools();
}, 300_000);

async function open(): Promise<BalancersBench> {
  const { home, forget } = makeHome();
  const log = capture();
  const holder = await openHolder({ home, cluster: "test", clock: systemClock, log });
  const publisher = await openPublisher({ home, cluster: "test", clock: systemClock });
  const folder = join(home, "clusters", "test");
  let count = 0;
  return {
    balancers: openBalancers({ folder, holder, publisher, tools, clock: systemClock, log }),
    serving: async () => ({ ...(await startTarget(holder, home, ++count)), port: 8080 }),
    async silent() {
      const { machineId, address } = await startTarget(holder, home, ++count);
      return { machineId, address, port: 9999 };
    },
    fall: (machineId) => holder.kill(machineId, "SIGKILL"),
    async connect({ addresses }, port) {
      const socket = connect(port, addresses[0]?.ip ?? "");
      socket.write("GET /slow?ms=20000 HTTP/1.1\r\nhost: web\r\n\r\n");
      await systemClock.sleep(300);
      return async () => void socket.destroy();
    },
    until: async (_what, check) => void (await eventually(check, 30_000)),
    async close() {
      holder.close();
      publisher.close();
      await endPublisher(home, "test");
      await forget();
    },
  };
}

balancersContract(open);
