import { createServer, type Server, type Socket } from "node:net";
import type { Holder } from "../../../src/clouds/local/holder-client.ts";
import { splice } from "../../../src/clouds/local/splice.ts";

/** A port of a machine, open in the test's network as soon as it is in the machine's, and shut when it refuses. */
export type Port = { close(): Promise<void> };
type Place = { address: string; port: number };

const lookEveryMs = 500;

/** The machine has the same address in both networks. */
export function openPort(holder: Holder, { address, port }: Place): Port {
  const ended = new AbortController();
  const open = new Set<Socket>();
  let server: Server | undefined;
  let timer: NodeJS.Timeout | undefined;

  const dial = () => holder.dial(address, port, ended.signal);

  async function look(): Promise<void> {
    try {
      (await dial()).destroy();
      if (!ended.signal.aborted) listen();
    } catch {
      if (!ended.signal.aborted) timer = setTimeout(() => void look(), lookEveryMs);
    }
  }

  function listen(): void {
    const own = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (near) => void carry(near, own));
    server = own;
    own.once("error", (error) => process.stderr.write(`rig: ${address}:${port}: ${error.message}\n`));
    own.listen(port, address);
  }

  async function carry(near: Socket, own: Server): Promise<void> {
    open.add(near);
    near.once("close", () => open.delete(near));
    near.on("error", () => near.destroy());
    try {
      const far = await dial();
      if (near.destroyed) far.destroy();
      else splice(near, far);
    } catch {
      near.resetAndDestroy();
      if (server !== own) return;
      server = undefined;
      own.close();
      if (!ended.signal.aborted) void look();
    }
  }

  void look();
  return {
    async close() {
      ended.abort();
      clearTimeout(timer);
      for (const socket of open) socket.destroy();
      const own = server;
      if (own) await new Promise<void>((resolve) => own.close(() => resolve()));
    },
  };
}
