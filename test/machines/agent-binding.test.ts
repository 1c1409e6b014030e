import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { binding, container, noted, ready, reasons, restarts, startAgent, state } from "./agent-kit.ts";

describe("binding", () => {
  test("a bound Pod is pulled, created and started", async () => {
    const agent = await startAgent();
    await agent.bind(binding([container("web", "echo hello; sleep 1000")]));
    const report = await agent.until((seen) => ready(seen) && seen.containerStatuses[0]?.imageID !== "");
    expect(report.uid).toBe("uid-1");
    expect(report.containerStatuses[0]).toMatchObject({
      name: "web",
      restartCount: 0,
      started: true,
      image: "docker.io/library/tool:1",
      imageID: `docker.io/library/tool@sha256:${"a".repeat(64)}`,
      state: { running: { startedAt: expect.stringMatching(/^\d{4}-.*Z$/) } },
    });
    expect(reasons(report)).toEqual(["Pulling", "Pulled", "Created", "Started"]);
    expect(statSync(join(agent.root, "var/lib/drover/binding.json")).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(agent.podman, "hostname"), "utf8")).toBe("web-0\n");
  });

  test("the same Pod may be bound again, another may not", async () => {
    const agent = await startAgent();
    const web = binding([container("web")]);
    await agent.bind(web);
    await agent.bind(web);
    await agent.until(ready);
    const other = await agent.ask({ op: "bind", binding: { ...web, uid: "uid-2" } });
    expect(other.error).toMatchObject({ code: "BOX_TAKEN", message: expect.stringContaining("uid-1") });
    expect(agent.calls().filter(([verb]) => verb === "run")).toHaveLength(2);
  });

  test("a container that lacks something waits for a complete binding", async () => {
    const agent = await startAgent();
    const configError = 'CreateContainerConfigError: configmap "c" not found';
    await agent.bind(binding([container("web", undefined, { configError }), container("other")]));
    const report = await agent.until((seen) => seen.containerStatuses[1]?.ready === true);
    expect(state(report)).toEqual({
      waiting: { reason: "CreateContainerConfigError", message: 'configmap "c" not found' },
    });
    await agent.bind(binding([container("web"), container("other")]));
    expect(restarts(await agent.until(ready))).toBe(0);
  });

  test("a machine that nobody binds powers itself off", async () => {
    const agent = await startAgent("agent.UNBOUND_SECONDS = 0.3");
    await expect.poll(() => noted(join(agent.podman, "systemctl"))).toBe("poweroff\n");
  });

  test("requests that make no sense are answered, and the agent goes on", async () => {
    const agent = await startAgent();
    expect((await agent.ask({ op: "dance" })).error?.code).toBe("BOX_REFUSED");
    expect((await agent.ask({ op: "stop", graceSeconds: 1 })).error?.message).toMatch(/no Pod/);
    expect((await agent.ask({ op: "update", volumes: [] })).error?.message).toMatch(/no Pod/);
    await agent.bind(binding([container("web")]));
    await agent.until(ready);
  });
});

describe("images", () => {
  test.for([
    ["the mirror is asked first, and its image gets the original name", "mirrored:1", "IfNotPresent", undefined],
    ["an image that the mirror lacks comes from its own registry", "tool:1", "IfNotPresent", undefined],
    ["an image that is nowhere", "nowhere:1", "IfNotPresent", "ErrImagePull"],
    ["an image that must be here and is not", "tool:1", "Never", "ErrImageNeverPull"],
    ["a name that is none", "UPPER:1", "IfNotPresent", "InvalidImageName"],
  ] as const)("%s", async ([_name, image, pullPolicy, reason]) => {
    const agent = await startAgent();
    const pod = binding([container("web", undefined, { image, pullPolicy })], { registryMirror: "mirror.test:5000" });
    await agent.bind(pod);
    const report = await agent.until((seen) => ready(seen) || (reason && state(seen).waiting?.reason === reason));
    if (reason === undefined) expect(ready(report)).toBe(true);
    const pulls = agent.calls().filter(([verb]) => verb === "pull");
    if (pullPolicy !== "Never" && reason !== "InvalidImageName") {
      expect(pulls[0]?.at(-1)).toBe(`mirror.test:5000/docker.io/library/${image}`);
      expect(agent.calls().some(([verb]) => verb === "tag")).toBe(image === "mirrored:1");
    } else expect(pulls).toEqual([]);
  });

  test("images fetched ahead are not asked for again", async () => {
    const agent = await startAgent();
    expect(await agent.ask({ op: "fetch", images: ["tool:1"] })).toEqual({ ok: true });
    await agent.bind(binding([container("web")]));
    await agent.until(ready);
    expect(agent.calls().filter(([verb]) => verb === "pull")).toHaveLength(1);
    expect(agent.calls().filter(([verb]) => verb === "run")).toHaveLength(1);
  });

  test("a failed pull is tried again with back-off", async () => {
    const agent = await startAgent("agent.BACKOFF_SECONDS = (0, 1, 1)");
    await agent.bind(binding([container("web", undefined, { image: "late:1" })]));
    await agent.until((seen) => state(seen).waiting?.reason === "ImagePullBackOff");
    const image = { id: "d".repeat(64), cmd: ["sleep", "1000"] };
    writeFileSync(join(agent.podman, "registry", "docker.io%library%late:1"), JSON.stringify(image));
    expect(restarts(await agent.until(ready))).toBe(0);
  });
});
