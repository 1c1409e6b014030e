import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export type Resolver = {
  /** What makes a Node process that is started with it resolve names of balancers. */
  env: Readonly<Record<string, string>>;
  close(): Promise<void>;
};

const hook = new URL("./resolver-hook.mjs", import.meta.url).href;

/** The rig's part of DNS: `GET /NAME` has the address of a balancer for its answer, or 404. */
export async function startResolver(lookUp: (name: string) => Promise<string | undefined>): Promise<Resolver> {
  const server = createServer(({ url = "/" }, response) => {
    lookUp(url.slice(1)).then(
      (address) => response.writeHead(address === undefined ? 404 : 200).end(address),
      (error: unknown) => response.writeHead(500).end(`${error}`),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    env: { NODE_OPTIONS: `--import=${hook}`, DROVER_RIG_RESOLVER: `http://127.0.0.1:${port}` },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
