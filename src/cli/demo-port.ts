import { createServer } from "node:net";
import type { KubeObject } from "../api/object.ts";
import type { Service } from "../api/types.gen.ts";
import { DroverError } from "../base/errors.ts";

/** An address of loopback that no Service is given, so that a port in use there is in use on all of them. */
const probed = "127.0.77.1";
const ports = [80, 8080, 8180, 18080];

/** The first port on which this user can publish a Service on this computer. @throws SETUP_MISSING when there is none */
export async function publishablePort(candidates: readonly number[] = ports): Promise<number> {
  for (const port of candidates) if (await isOpen(port)) return port;
  const tried = candidates.join(", ");
  throw new DroverError(
    "SETUP_MISSING",
    `none of the ports ${tried} can be used here; free one: ss -ltn shows who listens`,
  );
}

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, probed, () => server.close(() => resolve(true)));
  });

/** The manifest's objects with every Service of type LoadBalancer on this port. */
export const onPort = (objects: readonly KubeObject[], port: number): KubeObject[] =>
  objects.map((object) => {
    const spec = (object as Service).spec;
    if (object.kind !== "Service" || spec?.type !== "LoadBalancer") return object;
    return { ...object, spec: { ...spec, ports: spec.ports?.map((each) => ({ ...each, port })) } };
  });
