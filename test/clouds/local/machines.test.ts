import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import type { Launch } from "../../../src/clouds/cloud.ts";
import type { ProcessState } from "../../../src/clouds/local/children.ts";
import type { Holder } from "../../../src/clouds/local/holder-client.ts";
import { openMachines } from "../../../src/clouds/local/machines.ts";
import { runTool } from "../../../src/clouds/local/run-tool.ts";
import { machinesContract } from "../../contract/machines.ts";
import { capture, eventually } from "./holder-home.ts";

/** Processes and taps as the holder keeps them, without any. */
function fakeHolder() {
  const processes = new Map<string, ProcessState>();
  const taps = new Set<string>();
  const started: string[] = [];
  const end = (id: string, exitCode: number) => {
    const process = processes.get(id);
    if (process?.running) processes.set(id, { ...process, running: false, exitCode });
  };
  const holder: Pick<Holder, "addTap" | "removeTap" | "spawn" | "processes" | "kill"> = {
    addTap: async (name) => void taps.add(name),
    removeTap: async (name) => void taps.delete(name),
    spawn: async ({ id }) => {
      started.push(id);
      processes.set(id, { id, pid: 1, running: true, startedAtMs: 0 });
      return { pid: 1 };
    },
    processes: async () => [...processes.values()],
    kill: async (id) => end(id, 137),
  };
  return { holder: holder as Holder, taps, started, end };
}

/** A computer where machines boot by themselves at once, so that nothing but their records is under test. */
async function makeComputer() {
  const folder = mkdtempSync(join(tmpdir(), "dm-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const disk = join(folder, "base.qcow2");
  await runTool(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"]);
  const initrd = join(folder, "base-initrd");
  writeFileSync(initrd, "");
  const image = { hash: "h", kernel: "kernel", initrd, disk, diskBytes: 2 ** 20 };
  const saved = { ensure: () => Promise.reject(new Error("nothing is saved here")), close: async () => undefined };
  const fake = fakeHolder();
  const later = { ms: 0 };
  const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + later.ms };
  const log = capture();
  const open = () =>
    openMachines({ folder, image, saved, log, clock, holder: fake.holder, accelerator: "kvm", cold: false });
  return { folder, log, later, open, ...fake };
}

const launch = (id: string, slots: number, memoryBytes = 2 ** 28): Launch => ({
  id,
  cluster: "test",
  template: {
    ...{ hash: "0123456789abcdef", image: "debian-12", userData: "#cloud-config\n", architecture: "amd64" },
    ...{ cpuMillis: 10, memoryBytes, diskBytes: 2 ** 20, prefetch: [] },
  },
  placement: { type: "local", zone: "local", capacityType: "on-demand" },
  slots: Array.from({ length: slots }, (_, slot) => `uid-${slot}`),
  owner: { namespace: "default", kind: "ReplicaSet", name: "web" },
  names: Array.from({ length: slots }, (_, slot) => `web-${slot}`),
});

const statesOf = async (machines: { observe(): Promise<{ machines: readonly { state: string }[] }> }) =>
  (await machines.observe()).machines.map(({ state }) => state);

machinesContract(async () => {
  const { open } = await makeComputer();
  let machines = await open();
  return {
    machines,
    launchOf: launch,
    async reopen() {
      await machines.close();
      machines = await open();
      return machines;
    },
    pause: () => systemClock.sleep(20),
    close: () => machines.close(),
  };
});

test("a launch gives machines with addresses of their own, and repeated gives the same", async () => {
  const { open, started } = await makeComputer();
  const machines = await open();
  const first = await machines.launch(launch("a", 3));
  expect(first.map(({ slot, state, address }) => [slot, state, address])).toEqual([
    [0, "pending", "10.90.1.1"],
    [1, "pending", "10.90.1.2"],
    [2, "pending", "10.90.1.3"],
  ]);
  await eventually(async () => (await statesOf(machines)).every((state) => state === "running"));
  expect((await machines.launch(launch("a", 3))).map(({ id }) => id)).toEqual(first.map(({ id }) => id));
  const [other] = await machines.launch(launch("b", 1));
  expect(first.map(({ id }) => id)).not.toContain(other?.id);
  await machines.close();
  expect(new Set(started).size).toBe(started.length);
});

test("two launches of one id at the same time are one", async () => {
  const { open } = await makeComputer();
  const machines = await open();
  const [one, two] = await Promise.all([machines.launch(launch("a", 2)), machines.launch(launch("a", 2))]);
  expect(one?.map(({ id }) => id)).toEqual(two?.map(({ id }) => id));
  expect((await machines.observe()).machines).toHaveLength(2);
  await machines.close();
});

test("whoever opens the folder again finds running machines as they are and starts the ones that were wanted", async () => {
  const { open, folder, started } = await makeComputer();
  const machines = await open();
  const [one, two] = await machines.launch(launch("a", 2));
  await eventually(async () => (await statesOf(machines)).every((state) => state === "running"));
  await machines.close();
  const path = join(folder, "machines", two?.id ?? "", "machine.json");
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), phase: "wanted" }));
  const again = await open();
  await eventually(async () => (await statesOf(again)).every((state) => state === "running"));
  expect(started.slice(0, 2).sort()).toEqual([`machine:${one?.id}`, `machine:${two?.id}`].sort());
  expect(started.slice(2)).toEqual([`machine:${two?.id}`]);
  expect((await again.launch(launch("a", 2))).map(({ id }) => id)).toEqual([one?.id, two?.id]);
  await again.close();
});

test("a crash between two records of a launch is made up for by the repeat", async () => {
  const { open, folder } = await makeComputer();
  const machines = await open();
  const [one, two] = await machines.launch(launch("a", 2));
  await machines.close();
  rmSync(join(folder, "machines", two?.id ?? "", "machine.json"));
  const again = await open();
  expect((await again.observe()).machines.map(({ id }) => id)).toEqual([one?.id]);
  expect((await again.launch(launch("a", 2))).map(({ id }) => id)).toEqual([one?.id, two?.id]);
  await again.close();
});

test("a terminated machine goes with its process, tap and files; others and unknown ids are no matter", async () => {
  const { open, folder, taps } = await makeComputer();
  const machines = await open();
  const [one, two] = await machines.launch(launch("a", 2));
  await eventually(async () => (await statesOf(machines)).every((state) => state === "running"));
  await machines.terminate([one?.id ?? "", "m-unknown"]);
  await machines.terminate([one?.id ?? ""]);
  await eventually(async () => (await statesOf(machines))[0] === "gone");
  expect(await statesOf(machines)).toEqual(["gone", "running"]);
  expect([...taps]).toEqual([two?.id]);
  await machines.close();
  expect(readdirSync(join(folder, "machines", one?.id ?? ""))).toEqual(["machine.json"]);
  expect((await machines.observe()).machines[0]?.cause).toBeUndefined();
});

test("a machine whose process ends by itself is gone with the cause", async () => {
  const { open, end } = await makeComputer();
  const machines = await open();
  const launched = await machines.launch(launch("a", 2));
  await eventually(async () => (await statesOf(machines)).every((state) => state === "running"));
  for (const { id, slot } of launched) end(`machine:${id}`, [0, 137][slot] ?? 1);
  await eventually(async () => (await statesOf(machines)).every((state) => state === "gone"));
  expect((await machines.observe()).machines.map(({ cause }) => cause)).toEqual([
    "the machine powered itself off",
    "the machine's process was killed by signal 9",
  ]);
  await machines.close();
});

test("an ended machine is remembered for an hour, and its launch is not made again meanwhile", async () => {
  const { open, later, started } = await makeComputer();
  const machines = await open();
  const [one] = await machines.launch(launch("a", 1));
  await machines.terminate([one?.id ?? ""]);
  await eventually(async () => (await statesOf(machines))[0] === "gone");
  expect(await machines.launch(launch("a", 1))).toMatchObject([{ id: one?.id, state: "gone" }]);
  expect(started.length).toBeLessThanOrEqual(1);
  later.ms = 3_600_001;
  await machines.observe();
  expect((await machines.observe()).machines).toEqual([]);
  await machines.close();
});

test("machines for which there is no room are refused with the numbers, and a launch gives as many as fit", async () => {
  const { open } = await makeComputer();
  const machines = await open();
  await expect(machines.launch(launch("big", 1, 2 ** 50))).rejects.toMatchObject({
    code: "CLOUD_CAPACITY",
    // 128 MiB of it are QEMU's own.
    message: expect.stringMatching(/\d+ MiB and \d+m CPU left for machines; one takes 1073741952 MiB and 10m\.$/),
  });
  const [offer] = await machines.offers();
  const each = Math.floor((offer?.left.memoryBytes ?? 0) / 2.5);
  expect(await machines.launch(launch("two", 5, each))).toHaveLength(2);
  expect((await machines.offers())[0]?.left.memoryBytes).toBeLessThan(each);
  await machines.close();
});

test("another image or architecture than the one there is, is refused", async () => {
  const { open } = await makeComputer();
  const machines = await open();
  const wanted = launch("a", 1);
  const refused = machines.launch({ ...wanted, template: { ...wanted.template, image: "ami-1" } });
  await expect(refused).rejects.toMatchObject({ code: "CLOUD_INVALID" });
  expect((await machines.observe()).machines).toEqual([]);
  await machines.close();
});

test("while the processes can't be seen nothing is concluded", async () => {
  const { open, holder } = await makeComputer();
  const machines = await open();
  await machines.launch(launch("a", 1));
  await eventually(async () => (await statesOf(machines))[0] === "running");
  holder.processes = () => Promise.reject(new Error("no answer"));
  expect(await machines.observe()).toMatchObject({ machines: [{ state: "running" }], complete: false });
  await machines.close();
});
