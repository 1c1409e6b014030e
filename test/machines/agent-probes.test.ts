import { rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { binding, container, flag, probe, ready, reasons, restarts, startAgent, web } from "./agent-kit.ts";

describe("probes", () => {
  test("readiness follows its probe, and a failure never restarts", async () => {
    const agent = await startAgent();
    const { answers, action } = await web(503);
    await agent.bind(binding([container("web", undefined, { readiness: probe(action) })]));
    await agent.until((report) => reasons(report).includes("Unhealthy"));
    expect(agent.report().containerStatuses[0]).toMatchObject({ ready: false, started: true });
    answers.code = 200;
    await agent.until(ready);
    answers.code = 500;
    const report = await agent.until((seen) => !ready(seen));
    expect(restarts(report)).toBe(0);
    expect(report.events.at(-1)?.message).toBe("Readiness probe failed: HTTP probe failed with statuscode: 500");
  });

  test("a server that comes up late is ready long before the next period", async () => {
    const agent = await startAgent();
    const { answers, action } = await web(503);
    await agent.bind(binding([container("web", undefined, { readiness: probe(action, { periodSeconds: 60 }) })]));
    await expect.poll(() => answers.asked, { timeout: 5000 }).toBeGreaterThan(0);
    answers.code = 200;
    expect(reasons(await agent.until(ready, 4000))).not.toContain("Unhealthy");
  });

  test("liveness restarts a container that no longer answers", async () => {
    const agent = await startAgent();
    const check = { kind: "exec", command: ["test", "-e", flag(agent)] } as const;
    writeFileSync(flag(agent), "");
    await agent.bind(binding([container("web", "sleep 1000", { liveness: probe(check) })], { graceSeconds: 1 }));
    await agent.until(ready);
    await agent.restart("agent");
    await agent.until(ready);
    rmSync(flag(agent));
    const report = await agent.until((seen) => restarts(seen) === 1);
    expect(report.events.map(({ message }) => message)).toContain(
      "Container web failed liveness probe, will be restarted",
    );
    expect(report.containerStatuses[0]?.lastState?.terminated?.exitCode).toBe(143);
  });

  test("a startup probe holds the others back", async () => {
    const agent = await startAgent();
    const { answers, action } = await web();
    const startup = probe({ kind: "exec", command: ["test", "-e", flag(agent)] }, { failureThreshold: 30 });
    const own = container("web", undefined, { startup, liveness: probe(action), readiness: probe(action) });
    await agent.bind(binding([own]));
    await agent.until((report) => reasons(report).includes("Unhealthy"));
    expect(answers.asked).toBe(0);
    expect(agent.report().containerStatuses[0]).toMatchObject({ started: false, ready: false });
    writeFileSync(flag(agent), "");
    await agent.until(ready);
  });

  test("tcp and grpc are understood", async () => {
    const agent = await startAgent();
    const server = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        // SETTINGS, then HEADERS and DATA with a HealthCheckResponse that says SERVING.
        const data = Buffer.from([0, 0, 0, 0, 2, 8, 1]);
        socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88]));
        socket.write(Buffer.concat([Buffer.from([0, 0, data.length, 0, 0, 0, 0, 0, 1]), data]));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    await agent.bind(
      binding([
        container("a", undefined, { readiness: probe({ kind: "tcp", port }) }),
        container("b", undefined, { readiness: probe({ kind: "grpc", port, service: "s" }) }),
        container("c", undefined, { readiness: probe({ kind: "tcp", port: 1 }) }),
      ]),
    );
    await agent.until((seen) => reasons(seen).includes("Unhealthy"));
    await agent.until((seen) => seen.containerStatuses.map((status) => status.ready).join() === "true,true,false");
  });
});
