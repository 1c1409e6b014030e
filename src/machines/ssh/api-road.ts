import { connect } from "node:net";
import type { Client } from "ssh2";
import { systemClock } from "../../base/clock.ts";

/** The port of a machine's own loopback that leads to the API. */
export const apiRoadPort = 6_443;
/** sshd frees the port of a lost connection only when it has noticed the loss. */
const retryMs = 5_000;

/** Has the machine's sshd listen on its loopback and hands every connection there on to the API on this computer. */
export function offerApi(client: Client, apiPort: () => number | undefined): void {
  let open = true;
  client.once("close", () => {
    open = false;
  });
  client.on("tcp connection", (_, accept, reject) => {
    const port = apiPort();
    if (port === undefined) return reject();
    const far = connect({ host: "127.0.0.1", port });
    far.once("error", reject);
    far.once("connect", () => {
      far.off("error", reject);
      const near = accept();
      near.pipe(far).pipe(near);
      near.on("error", () => far.destroy());
      far.on("error", () => near.destroy());
      near.on("close", () => far.destroy());
    });
  });
  const listen = () => {
    if (!open) return;
    client.forwardIn("127.0.0.1", apiRoadPort, (error) => {
      if (error) void systemClock.sleep(retryMs).then(listen);
    });
  };
  listen();
}
