import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { BoundContainer } from "../../src/clouds/box.ts";
import {
  binding,
  container,
  files,
  flag,
  probe,
  ready,
  reasons,
  restarts,
  startAgent,
  state,
  type TestAgent,
  web,
} from "./agent-kit.ts";

describe("order and ends", () => {
  test("init containers run one by one, a sidecar beside, then the rest", async () => {
    const agent = await startAgent();
    const out = join(agent.root, "order");
    const note = (text: string) => `echo ${text} >> ${out}`;
    await agent.bind(
      binding([container("main", `${note("main")}; sleep 1000`)], {
        initContainers: [
          container("one", `sleep 0.3; ${note("one")}`),
          container("side", `${note("side")}; sleep 1000`, { sidecar: true }),
          // A sidecar counts as started when it runs, whatever it has done by then.
          container("two", `until grep -q side ${out}; do sleep 0.05; done; ${note("two")}`),
        ],
      }),
    );
    const early = await agent.until((seen) => state(seen).waiting?.reason === "PodInitializing");
    expect(early.initContainerStatuses).toHaveLength(3);
    const report = await agent.until(ready);
    await expect.poll(() => readFileSync(out, "utf8")).toBe("one\nside\ntwo\nmain\n");
    expect(report.initContainerStatuses.map((each) => each.state?.terminated?.reason ?? "runs")).toEqual([
      "Completed",
      "runs",
      "Completed",
    ]);
  });

  test.for([
    ["Never", "exit 3", { exitCode: 3, reason: "Error" }],
    ["Never", "echo why > /dev/termination-log; exit 1", { exitCode: 1, message: "why\n" }],
    ["OnFailure", "exit 0", { exitCode: 0, reason: "Completed" }],
  ] as const)("with %s, `%s` is an end", async ([restartPolicy, script, terminated]) => {
    const agent = await startAgent();
    await agent.bind(binding([container("job", script)], { restartPolicy }));
    const report = await agent.until(({ finished }) => finished);
    expect(state(report).terminated).toMatchObject(terminated);
    expect(report.stopping).toBe(false);
  });

  test("an init container that fails for good ends the Pod", async () => {
    const agent = await startAgent();
    await agent.bind(
      binding([container("main")], { restartPolicy: "Never", initContainers: [container("init", "exit 2")] }),
    );
    const report = await agent.until(({ finished }) => finished);
    expect(report.initContainerStatuses[0]?.state?.terminated?.exitCode).toBe(2);
    expect(state(report).waiting?.reason).toBe("PodInitializing");
  });

  test("a job's end ends its sidecars", async () => {
    const agent = await startAgent();
    const side = container("side", "trap 'exit 0' TERM; while :; do sleep 0.1; done", { sidecar: true });
    await agent.bind(binding([container("job", "exit 0")], { restartPolicy: "Never", initContainers: [side] }));
    await agent.until(({ finished }) => finished);
  });

  test("the end of memory, and a command that does not exist, have names of their own", async () => {
    const agent = await startAgent();
    writeFileSync(join(agent.podman, "oom"), "");
    const hogs = ["hog", "hog-elsewhere"].map((name, index) =>
      container(name, "exit 137", { image: index === 0 ? "tool:1" : "other", command: ["sh", "-c", "exit 137"] }),
    );
    const missing = { ...container("missing"), command: ["/no/such"] };
    await agent.bind(binding([...hogs, missing], { restartPolicy: "Never" }));
    const report = await agent.until(({ finished }) => finished);
    expect(state(report, 0).terminated).toMatchObject({ reason: "OOMKilled", exitCode: 137 });
    expect(state(report, 1).terminated).toMatchObject({ reason: "OOMKilled", exitCode: 137 });
    expect(state(report, 2).terminated).toMatchObject({ reason: "StartError", exitCode: 128 });
  });

  test("a crash is followed by a start at once, then by back-off", async () => {
    const agent = await startAgent();
    await agent.bind(binding([container("web", "echo crashed; exit 1")]));
    const report = await agent.until((seen) => state(seen).waiting !== undefined && restarts(seen) === 1);
    expect(report.containerStatuses[0]).toMatchObject({
      state: {
        waiting: {
          reason: "CrashLoopBackOff",
          message: "back-off 10s restarting failed container=web pod=web-0_default(uid-1)",
        },
      },
      lastState: { terminated: { exitCode: 1 } },
    });
    expect(reasons(report)).toContain("BackOff");
    expect(await agent.read({ op: "logs", container: "web", previous: true })).toBe("crashed\n");
  });

  test("a deadline ends the Pod with its reason", async () => {
    const agent = await startAgent();
    await agent.bind(binding([container("web")], { activeDeadlineSeconds: 1 }));
    const report = await agent.until(({ finished }) => finished);
    expect(report).toMatchObject({ reason: "DeadlineExceeded", stopping: true });
  });
});

describe("stopping", () => {
  /** Runs until a signal that `traps` see to, and is ready once they are set. */
  const trapping = (agent: TestAgent, name: string, traps: string, more: Partial<BoundContainer> = {}) => {
    const set = `${flag(agent)}-${name}`;
    const readiness = probe({ kind: "exec", command: ["test", "-e", set] });
    return container(name, `${traps}; touch ${set}; while :; do sleep 0.05; done`, { readiness, ...more });
  };

  test("preStop runs before the signal, and both within the grace", async () => {
    const agent = await startAgent();
    const out = join(agent.root, "out");
    const preStop = { kind: "exec", command: ["sh", "-c", `sleep 0.3; echo hook >> ${out}`] } as const;
    await agent.bind(binding([trapping(agent, "web", `trap 'echo term >> ${out}; exit 0' TERM`, { preStop })]));
    await agent.until(ready);
    expect(await agent.ask({ op: "stop", graceSeconds: 5 })).toEqual({ ok: true });
    expect((await agent.until((report) => !ready(report))).finished).toBe(false);
    const report = await agent.until(({ finished }) => finished);
    expect(readFileSync(out, "utf8")).toBe("hook\nterm\n");
    expect(report.stopping).toBe(true);
    expect(state(report).terminated?.exitCode).toBe(0);
    expect(reasons(report)).toContain("Killing");
  });

  test("what ignores the signal is killed after the grace, and the grace can be shortened", async () => {
    const agent = await startAgent();
    await agent.bind(binding([trapping(agent, "web", "trap '' TERM")]));
    await agent.until(ready);
    await agent.ask({ op: "stop", graceSeconds: 1000 });
    await agent.until(({ stopping }) => stopping);
    await agent.ask({ op: "stop", graceSeconds: 1 });
    const report = await agent.until(({ finished }) => finished, 5000);
    expect(state(report).terminated?.exitCode).toBe(137);
  });

  test("the image's own stop signal is used, a container's own goes before it", async () => {
    const agent = await startAgent();
    const traps = "trap 'exit 7' USR1; trap 'exit 8' USR2";
    const own = { image: "other" };
    await agent.bind(
      binding([trapping(agent, "a", traps, own), trapping(agent, "b", traps, { ...own, stopSignal: "SIGUSR2" })]),
    );
    await agent.until((report) => ready(report) && report.containerStatuses.every(({ imageID }) => imageID !== ""));
    await agent.ask({ op: "stop", graceSeconds: 5 });
    const report = await agent.until(({ finished }) => finished);
    expect(report.containerStatuses.map((status) => status.state?.terminated?.exitCode)).toEqual([7, 8]);
  });

  test("sidecars end after the containers that use them", async () => {
    const agent = await startAgent();
    const out = join(agent.root, "out");
    const noting = (name: string, more: Partial<BoundContainer> = {}) =>
      trapping(agent, name, `trap 'sleep 0.2; echo ${name} >> ${out}; exit 0' TERM`, more);
    await agent.bind(
      binding([noting("main")], { initContainers: ["one", "two"].map((name) => noting(name, { sidecar: true })) }),
    );
    await agent.until((report) => ready(report) && report.initContainerStatuses.every((status) => status.ready));
    await agent.ask({ op: "stop", graceSeconds: 5 });
    await agent.until(({ finished }) => finished);
    expect(readFileSync(out, "utf8")).toBe("main\ntwo\none\n");
  });

  test("a Pod that waits to be started again is stopped too", async () => {
    const agent = await startAgent();
    await agent.bind(binding([container("web", "exit 1")]));
    await agent.until((report) => state(report).waiting?.reason === "CrashLoopBackOff");
    await agent.ask({ op: "stop", graceSeconds: 5 });
    await agent.until(({ finished }) => finished, 2000);
  });
});

describe("without drover", () => {
  test("the agent's own restart leaves the containers and their readiness alone", async () => {
    const agent = await startAgent();
    const { action } = await web();
    const postStart = { kind: "exec", command: ["sh", "-c", `echo x >> ${flag(agent)}`] } as const;
    await agent.bind(
      binding([container("web", undefined, { readiness: probe(action), postStart })], {
        initContainers: [container("init", "exit 0")],
      }),
    );
    const before = await agent.until(ready);
    await agent.restart("agent");
    const after = await agent.until((report) => report.uid === "uid-1");
    expect(after.containerStatuses[0]).toMatchObject({ ready: true, restartCount: 0 });
    expect(state(after)).toEqual(state(before));
    expect(readFileSync(flag(agent), "utf8")).toBe("x\n");
    expect(agent.calls().filter(([verb]) => verb === "run").length).toBe(3);
  });

  test("a container that ended while the agent was away is noticed", async () => {
    const agent = await startAgent();
    await agent.bind(
      binding([container("web", `while [ ! -e ${flag(agent)} ]; do sleep 0.05; done; exit 4`)], {
        restartPolicy: "Never",
      }),
    );
    await agent.until(ready);
    const back = agent.restart("agent");
    writeFileSync(flag(agent), "");
    await back;
    const report = await agent.until(({ finished }) => finished);
    expect(state(report).terminated?.exitCode).toBe(4);
  });

  test("a reboot brings the Pod back from the disk, init containers first", async () => {
    const agent = await startAgent();
    await agent.bind(
      binding(
        [
          container("web", "cat /etc/config/a; echo; sleep 1000", {
            mounts: [{ volume: "cfg", path: "/etc/config", readOnly: true }],
          }),
        ],
        {
          initContainers: [container("init", "exit 0")],
          volumes: [files({ a: "kept" })],
        },
      ),
    );
    const before = await agent.until(ready);
    await agent.restart("machine");
    const after = await agent.until((report) => report.uid === "uid-1" && ready(report));
    expect(after.bootId).not.toBe(before.bootId);
    expect(after.containerStatuses[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 255, reason: "Unknown" } },
    });
    expect(after.initContainerStatuses[0]?.restartCount).toBe(1);
    await expect.poll(() => agent.read({ op: "logs", container: "web" })).toBe("kept\n");
    expect(agent.calls().filter(([verb]) => verb === "pull")).toHaveLength(1);
  });

  test("a reboot ends what may run only once", async () => {
    const agent = await startAgent();
    await agent.bind(binding([container("job")], { restartPolicy: "Never" }));
    await agent.until(ready);
    await agent.restart("machine");
    const report = await agent.until(({ finished }) => finished);
    expect(state(report).terminated?.exitCode).toBe(255);
    expect(restarts(report)).toBe(0);
  });
});
