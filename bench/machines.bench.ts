// Machines on this computer: one JSON line a figure. A Pod with one container, from the launch to its container running.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock as clock } from "../src/base/clock.ts";
import { systemRandom as random } from "../src/base/random.ts";
import type { Binding, BoundContainer } from "../src/clouds/box.ts";
import type { MachineTemplate } from "../src/clouds/cloud.ts";
import { localCleanup } from "../src/clouds/local/cleanup.ts";
import { type LocalCloud, openLocalCloud } from "../src/clouds/local/cloud.ts";
import { buildDemoImages } from "../src/clouds/local/demo-image.ts";
import { makeHostKey } from "../src/clouds/local/host-key.ts";
import { loadImage } from "../src/clouds/local/registry.ts";
import { cacheDirectory } from "../src/clouds/local/rootfs.ts";
import { sshBoxes } from "../src/machines/ssh/boxes.ts";
import { machineTemplate } from "../src/machines/template.ts";

// A home of its own, so that whatever is saved here goes again; what takes minutes to build is borrowed.
const borrowed = cacheDirectory();
const home = mkdtempSync(join(tmpdir(), "db-"));
mkdirSync(join(home, "cache"));
for (const name of ["image", "rootfs"]) symlinkSync(join(borrowed, name), join(home, "cache", name));
process.env["DROVER_HOME"] = home;
const cluster = "bench";
const waitMsMax = 900_000;
const operator = makeHostKey("bench");
const log = { debug: () => undefined, info: () => undefined, warn: (message: string) => console.error(message) };

const print = (figure: string, value: number, unit: string) =>
  console.log(JSON.stringify({ figure, value: Number(value.toPrecision(3)), unit }));

/** A template that no saved machine is of yet. */
function freshTemplate(image: string): MachineTemplate {
  const spec = { containers: [{ name: "web", image }] };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "bench" }, spec };
  const made = machineTemplate(pod, { authorizedKey: operator.publicKey });
  const userData = `${made.userData}\n# ${clock.wallMs()}\n`;
  return { ...made, userData, hash: createHash("sha256").update(userData).digest("hex").slice(0, 16) };
}

const container: Omit<BoundContainer, "image"> = {
  ...{ name: "web", pullPolicy: "IfNotPresent", env: [], mounts: [], cpuMillisMax: 0, memoryBytesMax: 0 },
  ...{ privileged: false, readOnlyRoot: false, capabilitiesAdd: [], capabilitiesDrop: [], tty: false, stdin: false },
  ...{ sidecar: false, terminationMessagePath: "/dev/termination-log" },
};

const bindingOf = (uid: string, image: string, registryMirror: string | undefined): Binding => ({
  ...{ version: 1, uid, namespace: "default", name: uid, hostname: uid, nameservers: [], searchDomains: [] },
  ...{ hostAliases: [], restartPolicy: "Always", graceSeconds: 5, activeDeadlineSeconds: 0, volumes: [] },
  ...(registryMirror === undefined ? {} : { registryMirror }),
  initContainers: [],
  containers: [{ ...container, image }],
});

/** Memory that the machine's process has to itself, and the processor time it took, from the kernel's books. */
function costOf(pid: number): { memoryMiB: number; cpuSeconds: number } {
  const anonymous = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return { memoryMiB: Number(anonymous) / 1024, cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100 };
}

/** The machine's QEMU, by the name it was given. */
const pidOf = (id: string): number =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      const path = `/proc/${pid}/cmdline`;
      return existsSync(path) && readFileSync(path, "utf8").startsWith(`qemu-system-x86_64\0-name\0${id}\0`);
    }) ?? 0;

/** Launches `count` machines, binds a Pod to each, and tells when the last one reached each stage. */
async function wave(cloud: LocalCloud, name: string, template: MachineTemplate, count: number): Promise<void> {
  const { registryMirror } = await cloud.surroundings();
  const console = (id: string) => cloud.machines.console(id);
  const boxes = sshBoxes({ reach: cloud.reach, console, privateKey: operator.privateKey, clock, log });
  const beganMs = clock.monotonicMs();
  const placement = { type: "local", zone: "local", capacityType: "on-demand" } as const;
  const slots = Array.from({ length: count }, (_, slot) => `pod-${slot}`);
  const owner = { namespace: "default", kind: "ReplicaSet", name: "bench" };
  const launched = await cloud.machines.launch({
    id: `bench-${clock.wallMs()}`,
    cluster,
    template,
    placement,
    slots,
    owner,
    names: slots,
  });
  const ids = launched.map(({ id }) => id);
  const reached = {
    running: new Map<string, number>(),
    ssh: new Map<string, number>(),
    container: new Map<string, number>(),
  };
  const mark = (stage: Map<string, number>, id: string) => {
    if (!stage.has(id)) stage.set(id, (clock.monotonicMs() - beganMs) / 1000);
  };
  boxes.onChange((id) => {
    const contact = boxes.contact(id);
    if (contact?.reachable && !reached.ssh.has(id)) {
      mark(reached.ssh, id);
      void boxes.bind(id, bindingOf(id, template.prefetch[0] ?? "", registryMirror)).catch(log.warn);
    }
    if (contact?.report?.containerStatuses[0]?.state?.running !== undefined) mark(reached.container, id);
  });
  while (reached.container.size < count && clock.monotonicMs() - beganMs < waitMsMax) {
    const { machines } = await cloud.machines.observe();
    const running = machines.filter(({ id, state }) => ids.includes(id) && state === "running");
    for (const { id } of running) mark(reached.running, id);
    boxes.follow(running);
    await clock.sleep(20);
  }
  for (const [stage, times] of Object.entries(reached)) print(`${name}: ${stage}`, Math.max(...times.values()), "s");
  const costs = ids.map((id) => costOf(pidOf(id)));
  print(`${name}: memory of one's own, each`, Math.max(...costs.map(({ memoryMiB }) => memoryMiB)), "MiB");
  print(`${name}: processor time, each`, Math.max(...costs.map(({ cpuSeconds }) => cpuSeconds)), "s");
  await boxes.close();
  await cloud.machines.terminate(ids);
}

const open = (cold: boolean) => openLocalCloud({ home, cluster, clock, random, log, cold });
try {
  for (const { reference, archive } of await buildDemoImages()) await loadImage({ home, archive, reference, clock });
  const template = freshTemplate("web:1");
  const cloud = await open(false);
  await wave(cloud, "first machine of a template", template, 1);
  await wave(cloud, "clone", template, 1);
  await wave(cloud, "two clones at once", template, 2);
  await wave(cloud, "four clones at once", template, 4);
  await wave(cloud, "first machine of a new revision", { ...template, prefetch: ["web:2"] }, 1);
  await cloud.close();
  const cold = await open(true);
  await wave(cold, "machine that boots by itself", template, 1);
  await cold.close();
} finally {
  await localCleanup(home, cluster);
  rmSync(home, { recursive: true, force: true });
}
