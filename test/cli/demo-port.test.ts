import { once } from "node:events";
import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { onPort, publishablePort } from "../../src/cli/demo-port.ts";
import { readManifests } from "../../src/cli/manifests.ts";

/** A port that somebody listens on, on every address. */
async function takenPort(): Promise<number> {
  const server = createServer().listen(0, "0.0.0.0");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("a port that another program has on every address is passed over", async () => {
  const taken = await takenPort();
  expect(await publishablePort([taken, 48_080])).toBe(48_080);
  await expect(publishablePort([taken])).rejects.toMatchObject({ code: "SETUP_MISSING" });
});

test("only the published Service gets another port; its targets stay", () => {
  const objects = readManifests("manifests/web.yaml");
  expect(onPort(objects, 80)).toEqual(objects);
  const [deployment, service] = onPort(objects, 8080);
  expect(deployment).toEqual(objects[0]);
  expect(service).toMatchObject({ spec: { ports: [{ port: 8080, targetPort: "http" }] } });
});
