import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fingerprintOf, fingerprintsIn } from "../../src/machines/ssh/fingerprint.ts";
import { binding, container, files, ready, reasons, startAgent } from "./agent-kit.ts";

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
  await expect.poll(() => agent.read({ op: "logs", container: "web" })).toBe(`${odd}\n`);
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
    await expect.poll(() => agent.read({ op: "logs", container: "web" })).toBe("old\n");
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
