import { afterAll, beforeAll, vi } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { openClients } from "../../../src/clouds/aws/clients.ts";
import { openNetworks } from "../../../src/clouds/aws/network.ts";
import { openSecurityGroups } from "../../../src/clouds/aws/security-groups.ts";
import { type Moto, startMoto } from "./server.ts";

/** For all tests of a file AWS is moto: the SDK finds it by the environment. */
export function useMoto(): void {
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
    for (const [name, value] of Object.entries(moto.env)) vi.stubEnv(name, value);
  }, 120_000);
  afterAll(async () => {
    vi.unstubAllEnvs();
    await moto?.close();
  }, 30_000);
}

type AccountOptions = { cluster: string; clock?: typeof systemClock; operatorCidrs?: readonly string[] };

/** The account that the environment leads to, as far as every port of drover needs it. */
export function openAccount({ cluster, clock = systemClock, operatorCidrs = [] }: AccountOptions) {
  const { clients, close } = openClients();
  const send = openSend(clients, clock);
  const networks = openNetworks(send, clock, { cluster });
  const groups = openSecurityGroups(send, clock, networks, { cluster, operatorCidrs });
  return { send, clock, cluster, networks, groups, close };
}
