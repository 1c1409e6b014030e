import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { BoundVolume } from "../../src/clouds/box.ts";
import { binding, container, noted, ready, reasons, startAgent, state, type TestAgent } from "./agent-kit.ts";

/** A partition of Linux' kind from the first mebibyte on, as a table of DOS' form has it. */
const partitioned = Buffer.alloc(512);
partitioned.set([0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0], 450);
partitioned.set([0x55, 0xaa], 510);

describe("disks", () => {
  const disk = (more: Partial<BoundVolume & { kind: "disk" }> = {}): BoundVolume => ({
    name: "data",
    kind: "disk",
    device: "/dev/disk/by-id/one",
    fsType: "ext4",
    readOnly: false,
    ...more,
  });
  const mounts = [{ volume: "data", path: "/data", readOnly: false }];
  const path = (agent: TestAgent) => join(agent.root, "dev/disk/by-id/one");
  const calls = (agent: TestAgent) =>
    noted(join(agent.podman, "disks"))
      .replaceAll(agent.root, "")
      .split("\n")
      .filter((line) => line !== "");
  function attach(agent: TestAgent, content = Buffer.alloc(0)) {
    mkdirSync(join(agent.root, "dev/disk/by-id"), { recursive: true });
    writeFileSync(path(agent), content);
    truncateSync(path(agent), 8 << 20);
  }
  /** With this computer's own programs. */
  const writeWith = (agent: TestAgent, [program = "", ...words]: readonly string[]) =>
    execFileSync(program, [...words, path(agent)], {
      env: { PATH: "/usr/sbin:/sbin:/usr/bin:/bin" },
      stdio: "ignore",
    });
  const folder = "/var/lib/drover/volumes/data";

  test("a blank disk is formatted once it is there, then mounted, and unmounted before the Pod has finished", async () => {
    const agent = await startAgent();
    await agent.bind(binding([container("web", "touch /data/x; sleep 1000", { mounts })], { volumes: [disk()] }));
    const early = await agent.until((report) => reasons(report).includes("FailedMount"));
    expect(early.events[0]?.message).toBe('volume "data": waiting for the disk /dev/disk/by-id/one to be attached');
    expect(calls(agent)).toEqual([]);
    attach(agent);
    const report = await agent.until(ready, 15_000);
    expect(reasons(report)).toContain("Formatted");
    expect(calls(agent)).toEqual([
      "mkfs.ext4 -q -m 0 /dev/disk/by-id/one",
      `mount -t ext4 -o rw /dev/disk/by-id/one ${folder}`,
      "resize2fs /dev/disk/by-id/one",
    ]);
    await expect.poll(() => existsSync(agent.volume("data", "x"))).toBe(true);
    writeFileSync(join(agent.podman, "busy"), "");
    await agent.ask({ op: "stop", graceSeconds: 1 });
    const stopped = await agent.until((seen) => reasons(seen).includes("FailedUnmount"));
    expect(stopped.finished).toBe(false);
    rmSync(join(agent.podman, "busy"));
    await agent.until(({ finished }) => finished);
    expect(calls(agent).at(-1)).toBe(`umount ${folder}`);
  });

  test.for([
    ["a file system", ["mkfs.ext4", "-q", "-F"], undefined],
    ["swap space", ["mkswap"], /no file system/],
    ["a partition table", partitioned, /partition table/],
    ["data of no known kind", Buffer.alloc(4096, 7), /no known file system/],
  ] as const)("a disk with %s is never formatted", async ([_name, make, refusal]) => {
    const agent = await startAgent();
    attach(agent, Buffer.isBuffer(make) ? make : Buffer.alloc(0));
    if (!Buffer.isBuffer(make)) {
      writeWith(agent, make);
    }
    await agent.bind(binding([container("web", undefined, { mounts })], { volumes: [disk()] }));
    if (refusal) {
      const report = await agent.until((seen) => reasons(seen).includes("FailedMount"));
      expect(report.events[0]?.message).toMatch(refusal);
      expect(state(report).waiting?.reason).toBe("ContainerCreating");
    } else await agent.until(ready);
    expect(calls(agent).join("\n")).not.toMatch(/mkfs/);
  });

  test("a disk that somebody made is mounted and grown as what it is, whatever its volume says", async () => {
    const agent = await startAgent();
    attach(agent);
    writeWith(agent, ["mkfs.ext4", "-q", "-F"]);
    await agent.bind(binding([container("web", undefined, { mounts })], { volumes: [disk({ fsType: "xfs" })] }));
    await agent.until(ready);
    const mounting = [`mount -t ext4 -o rw /dev/disk/by-id/one ${folder}`, "resize2fs /dev/disk/by-id/one"];
    expect(calls(agent).slice(-2)).toEqual(mounting);
    expect(await agent.ask({ op: "update", volumes: [disk({ fsType: "xfs" })] })).toEqual({ ok: true });
    expect(calls(agent).at(-1)).toBe(mounting[1]);
  });

  test("a disk that comes with a later binding, and one that grows, are seen to", async () => {
    const agent = await startAgent();
    const configError = "ContainerCreating: the disk is not attached yet";
    await agent.bind(binding([container("web", undefined, { mounts, configError })]));
    await agent.until((report) => state(report).waiting?.message !== undefined);
    attach(agent);
    await agent.bind(binding([container("web", undefined, { mounts })], { volumes: [disk({ fsType: "xfs" })] }));
    await agent.until(ready);
    expect(calls(agent).at(-1)).toBe(`xfs_growfs ${folder}`);
    expect(await agent.ask({ op: "update", volumes: [disk({ fsType: "xfs" })] })).toEqual({ ok: true });
    expect(calls(agent).filter((call) => call.startsWith("xfs_growfs"))).toHaveLength(2);
    await agent.restart("agent");
    await agent.until(ready);
    expect(calls(agent).filter((call) => call.startsWith("mount"))).toHaveLength(1);
  });

  test("a disk is formatted and mounted as its class says", async () => {
    const agent = await startAgent();
    attach(agent);
    const more = { format: ["-b", "1024"], mount: ["noatime", "discard"] };
    await agent.bind(binding([container("web", undefined, { mounts })], { volumes: [disk(more)] }));
    await agent.until(ready);
    expect(calls(agent).slice(0, 2)).toEqual([
      "mkfs.ext4 -q -m 0 -b 1024 /dev/disk/by-id/one",
      `mount -t ext4 -o rw,noatime,discard /dev/disk/by-id/one ${folder}`,
    ]);
  });

  test("what a file system needs and the machine does not have is installed, or asked for", async () => {
    const agent = await startAgent();
    const tool = join(agent.root, "bin/mkfs.xfs");
    const content = readFileSync(tool);
    rmSync(tool);
    attach(agent);
    await agent.bind(binding([container("web", undefined, { mounts })], { volumes: [disk({ fsType: "xfs" })] }));
    const report = await agent.until((seen) => reasons(seen).includes("FailedMount"));
    expect(report.events[0]?.message).toBe(
      'volume "data": a file system of type xfs needs xfsprogs, which can\'t be installed: E: Unable to locate package',
    );
    writeFileSync(join(agent.podman, "package"), content, { mode: 0o755 });
    await agent.until(ready, 15_000);
    expect(calls(agent).slice(-5)).toEqual([
      "apt-get -qq -o DPkg::Lock::Timeout=300 update",
      "apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends xfsprogs",
      "mkfs.xfs -q /dev/disk/by-id/one",
      `mount -t xfs -o rw /dev/disk/by-id/one ${folder}`,
      `xfs_growfs ${folder}`,
    ]);
  });

  test("the group of the Pod owns what is on it", async () => {
    const agent = await startAgent();
    attach(agent);
    const fsGroup = process.getgid?.() ?? 0;
    await agent.bind(binding([container("web", undefined, { mounts })], { volumes: [disk()], fsGroup }));
    await agent.until(ready);
    expect(statSync(agent.volume("data", "")).mode & 0o2070).toBe(0o2070);
  });

  test("a block device is handed over as it is", async () => {
    const agent = await startAgent();
    attach(agent);
    const devices = [{ volume: "data", path: "/dev/xvda" }];
    await agent.bind(binding([container("web", undefined, { devices })], { volumes: [disk({ block: true })] }));
    await agent.until(ready);
    expect(calls(agent)).toEqual([]);
    expect(agent.calls().findLast(([verb]) => verb === "run")).toContain(`--device=${path(agent)}:/dev/xvda`);
  });
});

describe("redirects", () => {
  const rules = (agent: TestAgent) => noted(join(agent.podman, "nft"));

  test("are set with the Pod, replaced as a whole, and set again after a reboot", async () => {
    const agent = await startAgent();
    const redirect = (port: number) => ({ port, targetPort: 8080, protocol: "TCP" }) as const;
    await agent.bind(binding([container("web")], { redirects: [redirect(80)] }));
    await agent.until(ready);
    expect(rules(agent).match(/fib daddr type local tcp dport 80 redirect to :8080/g)).toHaveLength(2);
    await agent.ask({ op: "update", volumes: [], redirects: [redirect(81)] });
    const [, , second = ""] = rules(agent).split("add table ip drover\ndelete table ip drover\n");
    expect(second).toContain("dport 81");
    expect(second).not.toContain("dport 80");
    await agent.ask({ op: "update", volumes: [] });
    expect(rules(agent).match(/delete table/g)).toHaveLength(2);
    await agent.restart("machine");
    await agent.until(ready);
    expect(rules(agent).match(/dport 81/g)).toHaveLength(4);
    await agent.ask({ op: "update", volumes: [], redirects: [] });
    expect(rules(agent).match(/delete table/g)).toHaveLength(4);
    expect(rules(agent).match(/dport/g)).toHaveLength(6);
  });

  test("lead from somebody else's address to a port of the machine", async () => {
    const agent = await startAgent();
    const api = { address: "10.96.0.1", port: 443, targetPort: 6443, protocol: "TCP" } as const;
    await agent.bind(binding([container("web")], { redirects: [api] }));
    await agent.until(ready);
    expect(rules(agent).match(/ip daddr 10\.96\.0\.1 tcp dport 443 redirect to :6443/g)).toHaveLength(2);
  });

  test("nothing is asked of the machine where there are none", async () => {
    const agent = await startAgent();
    await agent.bind(binding([container("web")]));
    await agent.until(ready);
    expect(rules(agent)).toBe("");
  });
});

describe("notices", () => {
  /** As much of EC2's instance metadata, version 2, as the agent asks for. */
  async function metadata() {
    const answers: Record<string, string> = {};
    const seen = { asked: 0, tokens: 0, valid: "t1" };
    const server = createServer((request, response) => {
      seen.asked++;
      const path = request.url?.replace("/latest/", "") ?? "";
      if (path === "api/token") {
        seen.tokens++;
        const fine = request.method === "PUT" && request.headers["x-aws-ec2-metadata-token-ttl-seconds"] === "21600";
        return void response.writeHead(fine ? 200 : 400).end(seen.valid);
      }
      if (request.headers["x-aws-ec2-metadata-token"] !== seen.valid) return void response.writeHead(401).end();
      const body = answers[path.replace("meta-data/", "")];
      response.writeHead(body === undefined ? 404 : 200).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    return { answers, seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  test("the most urgent of what EC2 tells is reported, and taken back", async () => {
    const { answers, seen, url } = await metadata();
    const agent = await startAgent("", { env: { DROVER_IMDS: url } });
    await agent.bind(binding([container("web")]));
    expect((await agent.until(ready)).notice).toBeUndefined();
    answers["events/maintenance/scheduled"] = JSON.stringify([
      { Code: "system-reboot", State: "active", NotBefore: "20 Jan 2030 09:00:43 GMT" },
      { Code: "instance-retirement", State: "active", NotBefore: "21 Jan 2030 09:00:43 GMT" },
    ]);
    const retired = await agent.until(({ notice }) => notice);
    expect(retired.notice).toEqual({ kind: "retirement", atMs: Date.parse("2030-01-21T09:00:43Z") });
    answers["events/recommendations/rebalance"] = '{"noticeTime": "2030-01-01T00:00:00Z"}';
    await agent.until(({ notice }) => notice?.kind === "rebalance");
    seen.valid = "t2"; // As when the first token is too old.
    answers["spot/instance-action"] = '{"action": "terminate", "time": "2030-01-01T08:22:00Z"}';
    const told = await agent.until(({ notice }) => notice?.kind === "interruption");
    expect(told.notice?.atMs).toBe(Date.parse("2030-01-01T08:22:00Z"));
    expect(seen.tokens).toBe(2);
    for (const path of Object.keys(answers)) delete answers[path];
    await agent.until(({ notice }) => notice === undefined);
  });

  test("a machine whose DMI data is not EC2's asks nobody", async () => {
    const { seen, url } = await metadata();
    const dmi = (uuid: string) => ({
      files: { "sys/class/dmi/id/product_uuid": `${uuid}-0000-4000-8000-000000000000\n` },
    });
    const patch = `agent.IMDS_DEFAULT = ${JSON.stringify(url)}`;
    const elsewhere = await startAgent(patch, dmi("8c0a0000"));
    await elsewhere.bind(binding([container("web")]));
    await elsewhere.until(ready);
    const there = await startAgent(patch, dmi("EC2a0000"));
    await there.bind(binding([container("web")]));
    await expect.poll(() => seen.tokens, { timeout: 8000 }).toBe(1);
  });
});
