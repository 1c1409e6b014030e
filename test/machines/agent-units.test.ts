import { existsSync, readFileSync, writeFileSync } from "node:fs";
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
  web,
} from "./agent-kit.ts";

const catalog = {
  "nginx:1": { package: "nginx-light", command: ["sh", "-c", "echo from the catalog; sleep 1000"], user: "nobody" },
  tool: { package: "tool", entrypoint: ["sh", "-c"], command: ["exit 1"], env: { GREETING: "hello" } },
};
const installed = { "opt/drover/catalog.json": JSON.stringify(catalog), "opt/drover/installed": "" };
const native = { engine: "native", files: installed };
const runs = (agent: TestAgent): string[][] =>
  readFileSync(join(agent.podman, "runs"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("programs of the machine in place of images", () => {
  test("what the catalog says is run once its packages are there, and the version is told", async () => {
    const agent = await startAgent("", {
      engine: "native",
      files: { "opt/drover/catalog.json": JSON.stringify(catalog) },
    });
    await agent.bind(binding([container("web", undefined, { image: "nginx:1" })]));
    await agent.until((report) => report.uid === "uid-1");
    expect(existsSync(join(agent.podman, "runs"))).toBe(false);
    writeFileSync(join(agent.root, "opt/drover/installed"), "");
    const report = await agent.until(ready);
    expect(report.containerStatuses[0]).toMatchObject({ image: "nginx:1", imageID: "package:nginx-light@1.22.1-9" });
    expect(report.events[0]?.message).toBe('Image "nginx:1" is the package nginx-light 1.22.1-9 here');
    await expect.poll(() => agent.read({ op: "logs", container: "web" })).toBe("from the catalog\n");
    expect(runs(agent)[0]).toContain("--reuid=65534");
  });

  test("command, arguments, environment, mounts and limits are the Pod's", async () => {
    const agent = await startAgent("", native);
    const odd = "$HOME $$ `id` \"' %h";
    await agent.bind(
      binding(
        [
          container("web", undefined, {
            image: "tool",
            args: ['echo "$GREETING $ODD"; cat "/etc/some config/a"; sleep 1000'],
            env: [["ODD", odd]],
            mounts: [{ volume: "cfg", path: "/etc/some config", readOnly: true }],
            cpuMillisMax: 250,
            memoryBytesMax: 1 << 26,
            user: "7:8",
            readOnlyRoot: true,
            noNewPrivileges: true,
            capabilitiesDrop: ["ALL"],
            capabilitiesAdd: ["NET_BIND_SERVICE"],
            workingDir: "/work",
          }),
        ],
        { volumes: [files({ a: "kept\n" })], groups: [99] },
      ),
    );
    await agent.until(ready);
    await expect.poll(() => agent.read({ op: "logs", container: "web" })).toBe(`hello ${odd}\nkept\n`);
    for (const wanted of [
      "CPUQuota=25%",
      "MemoryMax=67108864",
      "ProtectSystem=strict",
      "NoNewPrivileges=yes",
      "WorkingDirectory=/work",
      `BindReadOnlyPaths=${agent.volume("cfg", "")}:/etc/some\\ config`.replace("/:", ":"),
    ]) {
      expect(runs(agent)[0]).toContain(`--property=${wanted}`);
    }
    for (const wanted of ["--reuid=7", "--regid=8", "--groups=8,99", "--bounding-set=-all,+net_bind_service"]) {
      expect(runs(agent)[0]).toContain(wanted);
    }
    expect(existsSync(join(agent.root, "etc/some config"))).toBe(true);
  });

  test("a program that is not installed, an exit and the end of memory are told as of containers", async () => {
    const agent = await startAgent("", native);
    const of = (name: string, command: string[]) => ({ ...container(name, undefined, { image: "tool" }), command });
    await agent.bind(
      binding([of("a", ["no-such-program"]), of("b", ["sh", "-c", "exit 3"]), of("c", ["sh", "-c", "kill -9 $$"])], {
        restartPolicy: "Never",
      }),
    );
    const report = await agent.until(({ finished }) => finished);
    expect(state(report, 0).terminated).toMatchObject({ reason: "StartError", exitCode: 128 });
    expect(state(report, 1).terminated).toMatchObject({ reason: "Error", exitCode: 3 });
    expect(state(report, 2).terminated).toMatchObject({ reason: "Error", exitCode: 137 });
    const hungry = await startAgent("", native);
    writeFileSync(join(hungry.podman, "oom"), "");
    await hungry.bind(binding([of("hog", ["sh", "-c", "kill -9 $$"])], { restartPolicy: "Never" }));
    expect(state(await hungry.until(({ finished }) => finished)).terminated).toMatchObject({ reason: "OOMKilled" });
  });

  test("probes, exec and stop reach the process; the agent's restart does not touch it", async () => {
    const agent = await startAgent("", native);
    const { action } = await web();
    const script = `trap 'exit 7' TERM; touch ${flag(agent)}; while :; do sleep 0.05; done`;
    const liveness = probe({ kind: "exec", command: ["test", "-e", flag(agent)] }, { failureThreshold: 3 });
    await agent.bind(binding([container("web", script, { image: "tool", readiness: probe(action), liveness })]));
    const before = await agent.until(ready);
    await agent.restart("agent");
    const after = await agent.until(ready);
    expect(state(after)).toEqual(state(before));
    const answer = (await agent.ask({ op: "exec", container: "web", command: ["ls"] })) as { command?: string[] };
    expect(answer.command?.slice(0, 2)).toEqual(["nsenter", "--target"]);
    expect((await agent.ask({ op: "exec", container: "web", command: [] })).error?.message).toMatch(/no container/);
    await agent.ask({ op: "stop", graceSeconds: 5 });
    expect(state(await agent.until(({ finished }) => finished)).terminated?.exitCode).toBe(7);
  });

  test("a crash is followed by another run, and the log of the one before is kept", async () => {
    const agent = await startAgent("", native);
    const script = `echo run; [ -e ${flag(agent)} ] && exec sleep 1000; touch ${flag(agent)}; exit 1`;
    await agent.bind(binding([container("web", script, { image: "tool" })]));
    await agent.until((seen) => ready(seen) && restarts(seen) === 1);
    expect(await agent.read({ op: "logs", container: "web", previous: true })).toBe("run\n");
    expect(reasons(agent.report())).not.toContain("BackOff");
  });
});

test("a machine image without a command is there for its probes alone", async () => {
  const agent = await startAgent("", { engine: "ami", family: "other" });
  const { answers, action } = await web(503);
  const readiness = probe(action);
  await agent.bind(binding([container("web", undefined, { image: "ami-0a", readiness })]));
  const report = await agent.until((seen) => state(seen).running);
  expect(ready(report)).toBe(false);
  answers.code = 200;
  await agent.until(ready);
  expect(runs(agent)[0]?.slice(-2)).toEqual(["sleep", "infinity"]);
  expect(await agent.ask({ op: "logs", container: "web" })).not.toHaveProperty("error");
  await agent.ask({ op: "stop", graceSeconds: 5 });
  await agent.until(({ finished }) => finished);
});

test("a machine image with a command runs it", async () => {
  const agent = await startAgent("", { engine: "ami", family: "other" });
  await agent.bind(binding([container("web", "echo mine; sleep 1000", { image: "ami-0a" })]));
  await agent.until(ready);
  await expect.poll(() => agent.read({ op: "logs", container: "web" })).toBe("mine\n");
});
