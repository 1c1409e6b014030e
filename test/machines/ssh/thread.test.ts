import { expect, test } from "vitest";
import { makeHostKey } from "../../../src/clouds/local/host-key.ts";
import { binding, container, startAgent } from "../agent-kit.ts";
import { machine, optionsFor, startSshServer } from "./ssh-server.ts";

/** As it was compiled before the tests began. */
const shipped = new URL("../../../dist/machines/ssh/boxes.js", import.meta.url);

test("the shipped form keeps its connections in a thread of its own", async () => {
  const { sshBoxes } = (await import(shipped.href)) as typeof import("../../../src/machines/ssh/boxes.ts");
  const operator = makeHostKey("operator");
  const agent = await startAgent();
  const server = await startSshServer(agent, operator.publicKey);
  const boxes = sshBoxes(optionsFor(server, operator.privateKey));
  boxes.follow([machine]);
  await expect.poll(() => boxes.contact("m1")?.reachable, { timeout: 10_000 }).toBe(true);
  await boxes.bind("m1", binding([container("web", "echo hello; sleep 1000")]));
  const web = binding([]);
  await expect(boxes.bind("m1", { ...web, uid: "uid-2" })).rejects.toMatchObject({ code: "BOX_TAKEN" });
  await expect
    .poll(() => boxes.contact("m1")?.report?.containerStatuses[0]?.state?.running, { timeout: 10_000 })
    .toBeDefined();
  const { signal } = new AbortController();
  const command = ["sh", "-c", "head -c 3000000 /dev/zero; exit 5"];
  const session = await boxes.exec("m1", { container: "web", command, stdin: false, tty: false }, signal);
  let size = 0;
  for await (const chunk of session.stdout) size += chunk.length;
  expect([size, await session.exit]).toEqual([3_000_000, { exitCode: 5 }]);
  await boxes.close();
  await expect.poll(() => server.connections()).toBe(0);
});
