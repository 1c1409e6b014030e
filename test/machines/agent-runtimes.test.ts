import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
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
} from "./agent-kit.ts";

const runtimes = [
  ["docker", "amazon-linux"],
  ["nerdctl", "other"],
] as const;
const command = async (agent: TestAgent, request: object) => {
  const answer = (await agent.ask({ op: "exec", container: "web", ...request })) as { command?: string[] };
  return answer.command;
};

test("a machine image without the driver of its graphics processors is told as what it is", async () => {
  const agent = await startAgent();
  rmSync(join(agent.root, "bin/nvidia-smi"));
  await agent.bind(binding([container("web", undefined, { gpus: true })]));
  const report = await agent.until((seen) => state(seen).waiting?.reason === "CreateContainerError");
  expect(state(report).waiting?.message).toBe("the machine image has no NVIDIA driver: drover.dev/image names another");
});

test("podman gets a description of the graphics processors where there is none yet", async () => {
  const agent = await startAgent();
  await agent.bind(binding([container("web", undefined, { gpus: true })]));
  await agent.until(ready);
  expect(agent.calls().findLast(([verb]) => verb === "run")).toContain("--device=nvidia.com/gpu=all");
  const written = join(agent.root, "run/cdi/nvidia.yaml");
  expect(readFileSync(written, "utf8")).toBe(`cdi generate --output=${written}\n`);
});

describe.each(runtimes)("%s", (program, family) => {
  test("runs what podman runs, with the same limits, mounts and environment", async () => {
    const agent = await startAgent("", { family });
    await agent.bind(
      binding(
        [
          container("web", 'echo "$A"; cat /etc/config/a; sleep 1000', {
            env: [["A", "$(id)"]],
            args: ["x"],
            cpuMillisMax: 250,
            memoryBytesMax: 1 << 26,
            readOnlyRoot: true,
            gpus: true,
            mounts: [{ volume: "cfg", path: "/etc/config", readOnly: true }],
          }),
        ],
        { volumes: [files({ a: "kept\n" })] },
      ),
    );
    const report = await agent.until((seen) => ready(seen) && seen.containerStatuses[0]?.imageID !== "");
    expect(report.containerStatuses[0]?.imageID).toBe(`docker.io/library/tool@sha256:${"a".repeat(64)}`);
    expect(reasons(report)).toEqual(["Pulling", "Pulled", "Created", "Started"]);
    const run = agent.calls().findLast(([verb]) => verb === "run") ?? [];
    for (const wanted of [
      "--cpus=0.250",
      "--memory=67108864",
      "--network=host",
      "--read-only",
      "--gpus=all",
      "--entrypoint=sh",
    ]) {
      expect(run).toContain(wanted);
    }
    expect(run.slice(-3)).toEqual(["-c", expect.stringContaining("echo"), "x"]);
    await expect.poll(() => agent.read({ op: "logs", container: "web" })).toBe("$(id)\nkept\n");
    expect(await command(agent, { command: ["ls"], stdin: true, tty: true })).toEqual([
      program,
      "exec",
      "--interactive",
      "--tty",
      "c-web",
      "ls",
    ]);
    expect(await command(agent, { command: [] })).toContain("attach");
  });

  test("tells exit codes, the end of memory and commands that do not exist", async () => {
    const agent = await startAgent("", { family });
    const missing = { ...container("missing"), command: ["/no/such"] };
    await agent.bind(binding([container("web", "echo bye; exit 3"), missing], { restartPolicy: "Never" }));
    const report = await agent.until(({ finished }) => finished);
    expect(state(report).terminated).toMatchObject({ exitCode: 3, reason: "Error" });
    expect(state(report, 1).terminated).toMatchObject({ reason: "StartError", exitCode: 128 });
    expect(state(report, 1).terminated?.message).toMatch(/^crun: executable file `\/no\/such` not found/);
    expect(await agent.read({ op: "logs", container: "web", timestamps: true })).toMatch(/^\d{4}-.*Z bye\n$/);
  });

  test("an image that is nowhere, or must be here, is told as with podman", async () => {
    const agent = await startAgent("", { family });
    const pods = [
      container("a", undefined, { image: "nowhere:1" }),
      container("b", undefined, { image: "tool:1", pullPolicy: "Never" }),
    ];
    await agent.bind(binding(pods));
    const report = await agent.until(
      (seen) => state(seen, 0).waiting?.reason === "ImagePullBackOff" && state(seen, 1).waiting?.message,
    );
    expect(state(report, 1).waiting?.reason).toBe("ErrImageNeverPull");
  });

  test("goes on after a crash, with the log of the run before", async () => {
    const agent = await startAgent("", { family });
    await agent.bind(
      binding([container("web", `echo run; [ -e ${flag(agent)} ] && exec sleep 1000; touch ${flag(agent)}; exit 1`)]),
    );
    expect(restarts(await agent.until((seen) => ready(seen) && restarts(seen) === 1))).toBe(1);
    expect(await agent.read({ op: "logs", container: "web", previous: true })).toBe("run\n");
    await agent.restart("agent");
    await agent.until((seen) => ready(seen) && restarts(seen) === 1);
    await agent.restart("machine");
    expect(restarts(await agent.until(ready))).toBe(2);
  });

  test("probes and hooks run inside, and a stop is told to the process", async () => {
    const agent = await startAgent("", { family });
    const readiness = probe({ kind: "exec", command: ["test", "-e", flag(agent)] });
    const script = `trap 'exit 7' TERM; touch ${flag(agent)}; while :; do sleep 0.05; done`;
    await agent.bind(binding([container("web", script, { readiness })]));
    await agent.until(ready);
    await agent.ask({ op: "stop", graceSeconds: 5 });
    expect(state(await agent.until(({ finished }) => finished)).terminated?.exitCode).toBe(7);
  });

  test("a full log is kept beside the new one", async () => {
    const agent = await startAgent("agent.ROTATE_SECONDS = 0.05", { family });
    await agent.bind(binding([container("web", "echo old; sleep 1000")]));
    await agent.until(ready);
    const { log } = JSON.parse(readFileSync(join(agent.podman, "containers/c-web"), "utf8"));
    const path = join(agent.root, "var/lib/drover/logs/web/0.log");
    await expect.poll(() => existsSync(`${path}.1`)).toBe(true);
    await expect.poll(() => agent.read({ op: "logs", container: "web" })).toBe("old\n");
    renameSync(log, `${log}.1`);
    writeFileSync(log, `${JSON.stringify({ log: "new\n", stream: "stdout", time: "2026-01-01T00:00:00.1Z" })}\n`);
    await expect.poll(() => agent.read({ op: "logs", container: "web" })).toBe("old\nnew\n");
  });
});
