import { join } from "node:path";
import type { Holder } from "../../../src/clouds/local/holder-client.ts";
import { eventually } from "./holder-home.ts";

/**
 * A small HTTP server at an address of its own in the namespace, in place of a machine. `/` answers with its name,
 * `/slow?ms=N` after that time. On SIGTERM it ends as servers should: no new connections, idle ones closed, the open
 * answers finished.
 */
const program = (name: string, address: string, port: number, tls: TestKeyPair | undefined) => `
  const create = ${tls ? `require("https").createServer.bind(null, ${JSON.stringify(tls)})` : 'require("http").createServer'};
  const server = create((request, response) => {
    const answer = () => response.end("${name}");
    if (leaving) response.setHeader("connection", "close");
    const ms = Number(new URL(request.url, "http://x").searchParams.get("ms") ?? 0);
    ms > 0 ? setTimeout(answer, ms) : answer();
  });
  let leaving = false;
  server.keepAliveTimeout = 60000;
  process.on("SIGTERM", () => {
    leaving = true;
    server.close(() => process.exit(0));
    setInterval(() => server.closeIdleConnections(), 20);
  });
  server.listen(${port}, "${address}");`;

type TestKeyPair = { cert: string; key: string };
export type TestTarget = { machineId: string; address: string };

/** `tls`: it speaks HTTPS with this certificate. */
export async function startTarget(
  holder: Holder,
  home: string,
  number: number,
  port = 8080,
  tls?: TestKeyPair,
): Promise<TestTarget> {
  const machineId = `machine-${number}`;
  const address = `10.90.1.${number}`;
  await holder.run(["ip", "addr", "replace", `${address}/16`, "dev", "drover0"]);
  const argv = [process.execPath, "-e", program(machineId, address, port, tls)];
  await holder.spawn({ id: machineId, argv, logPath: join(home, `${machineId}.log`) });
  await eventually(async () => {
    const stream = await holder.dial(address, port).catch(() => undefined);
    stream?.destroy();
    return stream !== undefined;
  });
  return { machineId, address };
}
