import { beforeAll, expect, onTestFinished, test } from "vitest";
import { localCleanup } from "../../../src/clouds/local/cleanup.ts";
import { openTools, type Tools } from "../../../src/clouds/local/tools.ts";
import { networkSpec } from "../../contract/balancers.ts";
import { build, eventually, makeHome } from "./holder-home.ts";
import { openParts } from "./parts.ts";
import { startTarget } from "./targets.ts";

let tools: Tools;
beforeAll(async () => {
  build();
  tools = await openTools();
}, 300_000);

test("a Service is reached by its name, and goes on while no drover runs", async () => {
  const { home, forget } = makeHome();
  onTestFinished(async () => {
    await localCleanup(home, "test");
    await forget();
  });
  const first = await openParts(home, tools);
  const one = await startTarget(first.holder, home, 1);
  const targets = [{ ...one, port: 8080, draining: false }];
  const clusterAddress = "10.96.0.10";
  await first.balancers.ensure(networkSpec({ id: "svc-foo", scheme: "internal", clusterAddress, targets }));
  const name = "foo.default.svc.cluster.local";
  await first.names.change([{ name, type: "A", values: [clusterAddress], ttlSeconds: 5 }]);
  first.close();
  const second = await openParts(home, tools);
  onTestFinished(() => second.close());
  expect(second.holder.pid).toBe(first.holder.pid);
  const program = `
    const dns = require("dns");
    dns.setServers(["10.90.0.1"]);
    const lookup = (host, options, done) => dns.resolve4(host, (error, all) => done(error, options.all ? all.map((address) => ({ address, family: 4 })) : all?.[0], 4));
    require("http").get({ host: "${name}", port: 80, lookup, agent: false }, (r) => r.pipe(process.stdout))
      .on("error", (error) => console.log(error.message));`;
  const ask = async () => (await second.holder.run([process.execPath, "-e", program])).stdout;
  await eventually(async () => (await ask()) === "machine-1");
  const observed = async () => (await second.balancers.observe()).balancers;
  await eventually(async () => (await observed())[0]?.targets[0]?.state === "healthy");
  expect(await observed()).toEqual([
    {
      id: "svc-foo",
      name: "default/svc-foo",
      ready: true,
      addresses: [{ ip: clusterAddress }],
      targets: [{ machineId: "machine-1", state: "healthy" }],
    },
  ]);
});
