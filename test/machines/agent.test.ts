import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { BoundVolume, Report } from "../../src/clouds/box.ts";
import { fingerprintOf, fingerprintsIn } from "../../src/machines/ssh/fingerprint.ts";
import { binding, container, probe, startAgent, type TestAgent } from "./agent-kit.ts";

const state = (report: Report, index = 0) => report.containerStatuses[index]?.state ?? {};
const ready = ({ containerStatuses: all }: Report) => all.length > 0 && all.every((status) => status.ready);
const reasons = (report: Report) => report.events.map(({ reason }) => reason);
const restarts = (report: Report) => report.containerStatuses[0]?.restartCount;
const files = (content: Record<string, string>): BoundVolume => ({
  name: "cfg",
  kind: "files",
  files: Object.entries(content).map(([path, text]) => ({
    path,
    mode: 0o644,
    contentBase64: Buffer.from(text).toString("base64"),
  })),
});
const flag = (agent: TestAgent) => join(agent.root, "flag");

/** A web server whose answer is a status code that the test can change. */
async function web(code = 200) {
  const answers = { code, asked: 0 };
  const server = createServer((_, response) => {
    answers.asked++;
    response.writeHead(answers.code).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const action = {
    kind: "http",
    scheme: "HTTP",
    port: (server.address() as AddressInfo).port,
    path: "/healthz",
    headers: [["X-Probe", "1"]],
  } as const;
  return { answers, action: { ...action, headers: [["X-Probe", "1"] as [string, string]] } };
}

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
    await expect.poll(() => existsSync(join(agent.podman, "systemctl"))).toBe(true);
    expect(readFileSync(join(agent.podman, "systemctl"), "utf8")).toBe("poweroff\n");
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
          container("two", note("two")),
        ],
      }),
    );
    const early = await agent.until((seen) => state(seen).waiting?.reason === "PodInitializing");
    expect(early.initContainerStatuses).toHaveLength(3);
    const report = await agent.until(ready);
    expect(readFileSync(out, "utf8")).toBe("one\nside\ntwo\nmain\n");
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
    const missing = { ...container("missing"), command: ["/no/such"] };
    await agent.bind(binding([container("hog", "exit 137"), missing], { restartPolicy: "Never" }));
    const report = await agent.until(({ finished }) => finished);
    expect(state(report, 0).terminated).toMatchObject({ reason: "OOMKilled", exitCode: 137 });
    expect(state(report, 1).terminated).toMatchObject({ reason: "StartError", exitCode: 128 });
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

describe("stopping", () => {
  const loop = "while :; do sleep 0.05; done";

  test("preStop runs before the signal, and both within the grace", async () => {
    const agent = await startAgent();
    const out = join(agent.root, "out");
    const preStop = { kind: "exec", command: ["sh", "-c", `sleep 0.3; echo hook >> ${out}`] } as const;
    await agent.bind(binding([container("web", `trap 'echo term >> ${out}; exit 0' TERM; ${loop}`, { preStop })]));
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
    await agent.bind(binding([container("web", `trap '' TERM; ${loop}`)]));
    await agent.until(ready);
    await agent.ask({ op: "stop", graceSeconds: 1000 });
    await agent.until(({ stopping }) => stopping);
    await agent.ask({ op: "stop", graceSeconds: 1 });
    const report = await agent.until(({ finished }) => finished, 5000);
    expect(state(report).terminated?.exitCode).toBe(137);
  });

  test("the image's own stop signal is used, a container's own goes before it", async () => {
    const agent = await startAgent();
    const script = `trap 'exit 7' USR1; trap 'exit 8' USR2; ${loop}`;
    const own = { image: "other", command: ["sh", "-c", script] };
    await agent.bind(
      binding([container("a", undefined, own), container("b", undefined, { ...own, stopSignal: "SIGUSR2" })]),
    );
    await agent.until((report) => ready(report) && report.containerStatuses.every(({ imageID }) => imageID !== ""));
    await agent.ask({ op: "stop", graceSeconds: 5 });
    const report = await agent.until(({ finished }) => finished);
    expect(report.containerStatuses.map((status) => status.state?.terminated?.exitCode)).toEqual([7, 8]);
  });

  test("sidecars end after the containers that use them", async () => {
    const agent = await startAgent();
    const out = join(agent.root, "out");
    const script = (name: string) => `trap 'sleep 0.2; echo ${name} >> ${out}; exit 0' TERM; ${loop}`;
    await agent.bind(
      binding([container("main", script("main"))], {
        initContainers: ["one", "two"].map((name) => container(name, script(name), { sidecar: true })),
      }),
    );
    await agent.until(ready);
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
    expect(await agent.read({ op: "logs", container: "web" })).toBe("kept\n");
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

describe("files", () => {
  test("files are replaced in one step, and names that are gone go", async () => {
    const agent = await startAgent();
    await agent.bind(binding([container("web")], { volumes: [files({ a: "1", "deep/b": "2" })] }));
    const at = (path: string) => agent.volume("cfg", path);
    expect(readFileSync(at("a"), "utf8")).toBe("1");
    const version = readFileSync(at("deep/b"), "utf8");
    expect(version).toBe("2");
    const inode = statSync(at("..data/.")).ino;
    expect(await agent.ask({ op: "update", volumes: [files({ a: "1", "deep/b": "2" })] })).toEqual({ ok: true });
    expect(statSync(at("..data/.")).ino).toBe(inode);
    await agent.ask({ op: "update", volumes: [files({ a: "3", c: "4" })] });
    expect([readFileSync(at("a"), "utf8"), readFileSync(at("c"), "utf8")]).toEqual(["3", "4"]);
    expect(existsSync(at("deep"))).toBe(false);
    await agent.restart("machine");
    expect(readFileSync(at("a"), "utf8")).toBe("3");
  });

  test.for(["../out", "/etc/passwd", "a/../../out"])("a file cannot leave its volume by %s", async (path) => {
    const agent = await startAgent();
    await agent.bind(binding([container("web")], { volumes: [files({ [path]: "x" })] }));
    const report = await agent.until((seen) => reasons(seen).includes("FailedMount"));
    expect(report.events.find(({ reason }) => reason === "FailedMount")?.message).toMatch(/leads out of its volume/);
    expect(existsSync(agent.volume("out", ""))).toBe(false);
  });

  test("names and resolvers are the Pod's", async () => {
    const agent = await startAgent();
    await agent.bind(
      binding([container("web", "cat /etc/hosts /etc/resolv.conf")], {
        restartPolicy: "Never",
        hostAliases: [{ ip: "10.0.0.5", hostnames: ["web-0.sub", "web-0"] }],
      }),
    );
    await agent.until(({ finished }) => finished);
    expect(await agent.read({ op: "logs", container: "web" })).toBe(
      [
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost ip6-loopback",
        "10.0.0.5 web-0.sub web-0",
        "nameserver 10.0.0.2",
        "search default.svc.cluster.local svc.cluster.local cluster.local",
        "options ndots:5\n",
      ].join("\n"),
    );
  });
});

test("a container gets the limits, privileges and environment that it was given, and no shell sees them", async () => {
  const agent = await startAgent();
  const odd = "$(touch /tmp/x) `id` \"'\n; true";
  await agent.bind(
    binding(
      [
        container("web", 'echo "$ODD"; sleep 1000', {
          env: [["ODD", odd]],
          cpuMillisMax: 250,
          memoryBytesMax: 1 << 26,
          user: "7:8",
          readOnlyRoot: true,
          capabilitiesDrop: ["ALL"],
          capabilitiesAdd: ["NET_BIND_SERVICE"],
          workingDir: "/work",
          mounts: [{ volume: "tmp", path: "/tmp", readOnly: false, subPath: "below" }],
        }),
      ],
      { volumes: [{ name: "tmp", kind: "empty", medium: "disk" }], groups: [99] },
    ),
  );
  await agent.until(ready);
  const run = agent.calls().find(([verb]) => verb === "run") ?? [];
  for (const wanted of [
    "--cpus=0.250",
    "--memory=67108864",
    "--user=7:8",
    "--read-only",
    "--cap-drop=ALL",
    "--cap-add=NET_BIND_SERVICE",
    "--workdir=/work",
    "--group-add=99",
    "--network=host",
    `--env=ODD=${odd}`,
    `--volume=${agent.volume("tmp", "below")}:/tmp:rw`,
  ]) {
    expect(run).toContain(wanted);
  }
  expect(run).not.toContain("--cap-add=NET_RAW");
  expect(await agent.read({ op: "logs", container: "web" })).toBe(`${odd}\n`);
});

describe("logs", () => {
  async function logged() {
    const agent = await startAgent();
    const script = "for i in 1 2 3; do echo line $i; sleep 0.02; done; echo err >&2";
    await agent.bind(binding([container("web", script)], { restartPolicy: "Never" }));
    await agent.until(({ finished }) => finished);
    return (request: object) => agent.read({ op: "logs", container: "web", ...request });
  }

  test("the options of kubectl logs are understood", async () => {
    const read = await logged();
    expect(await read({})).toBe("line 1\nline 2\nline 3\nerr\n");
    expect(await read({ tailLines: 1 })).toBe("err\n");
    expect(await read({ tailLines: 0 })).toBe("");
    expect(await read({ limitBytes: 9 })).toBe("line 1\nli");
    const stamped = (await read({ timestamps: true })).trim().split("\n");
    expect(stamped[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line 1$/);
    expect(await read({ sinceTime: stamped[2]?.split(" ")[0] })).toBe("line 3\nerr\n");
    expect(await read({ sinceSeconds: 100 })).toBe("line 1\nline 2\nline 3\nerr\n");
    expect(await read({ sinceTime: "2100-01-01T00:00:00.000000Z" })).toBe("");
    expect(await read({ follow: true })).toBe("line 1\nline 2\nline 3\nerr\n");
  });

  test("a full file is kept beside the new one, and read before it", async () => {
    const agent = await startAgent("agent.ROTATE_SECONDS = 0.05");
    await agent.bind(binding([container("web", "echo old; sleep 1000")]));
    await agent.until(ready);
    const path = join(agent.root, "var/lib/drover/logs/web/0.log");
    await expect.poll(() => existsSync(`${path}.1`)).toBe(true);
    // As conmon does it: a new file takes the full one's name.
    writeFileSync(
      `${path}.tmp`,
      "2026-01-01T00:00:00.000000000+00:00 stdout P ne\n2026-01-01T00:00:00.000000001+00:00 stdout F w\n",
    );
    renameSync(`${path}.tmp`, path);
    await expect.poll(() => agent.read({ op: "logs", container: "web" })).toBe("old\nnew\n");
    await expect.poll(() => existsSync(`${path}.2`)).toBe(true);
    expect(await agent.read({ op: "logs", container: "web", tailLines: 2 })).toBe("new\n");
  });
});

test("the host key's fingerprint is shown on the console", async () => {
  const agent = await startAgent();
  mkdirSync(join(agent.root, "etc/ssh"), { recursive: true });
  mkdirSync(join(agent.root, "dev"));
  writeFileSync(join(agent.root, "dev/console"), "");
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZvbyBiYXIgYmF6IHF1eCBxdXV4IGNvcmdlIGdyYXVs root@box";
  writeFileSync(join(agent.root, "etc/ssh/ssh_host_ed25519_key.pub"), key);
  await agent.restart("agent");
  const console = () => readFileSync(join(agent.root, "dev/console"), "utf8");
  await expect
    .poll(() => fingerprintsIn(console()))
    .toEqual([fingerprintOf(Buffer.from(key.split(" ")[1] ?? "", "base64"))]);
});
