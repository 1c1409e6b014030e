import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import type { Machine } from "../../../src/clouds/cloud.ts";
import { machineDirectory } from "../../../src/clouds/local/machine-record.ts";
import { machineFiles } from "../../../src/clouds/local/qemu.ts";
import { runTool } from "../../../src/clouds/local/run-tool.ts";
import { openVolumes } from "../../../src/clouds/local/volumes.ts";
import { volumesContract } from "../../contract/volumes.ts";

const GiB = 2 ** 30;
/** A guest takes so long to let go of a disk. */
const ejectMs = 30;

type Given = {
  id: string;
  drive: string;
  serial: string;
  "node-name": string;
  file: { filename: string };
  size: number;
};
type Command = { execute: string; arguments: Given };

/** The monitor of a machine as QEMU answers it, without one. */
function startMonitor(path: string) {
  const nodes = new Map<string, { size: number; filename: string }>();
  const devices = new Map<string, { drive: string; serial: string }>();
  const leaving = new Set<string>();
  const refuse = (desc: string, kind = "GenericError") => ({ error: { class: kind, desc } });
  const unplug = (id: string) => {
    if (!devices.has(id)) return refuse(`Device '${id}' not found`, "DeviceNotFound");
    if (leaving.has(id)) return refuse(`Device ${id} is already in the process of unplug`);
    leaving.add(id);
    setTimeout(() => {
      devices.delete(id);
      leaving.delete(id);
    }, ejectMs);
    return { return: {} };
  };
  const commands: Record<string, (given: Given) => object> = {
    qmp_capabilities: () => ({ return: {} }),
    "blockdev-add"({ "node-name": name, file }) {
      if (nodes.has(name)) return refuse(`Duplicate nodes with node-name='${name}'`);
      nodes.set(name, { size: 0, filename: file.filename });
      return { return: {} };
    },
    device_add({ id, drive, serial }) {
      if (devices.has(id)) return refuse(`Duplicate device ID '${id}'`);
      if (!nodes.has(drive)) return refuse(`Property 'virtio-blk-device.drive' can't find value '${drive}'`);
      devices.set(id, { drive, serial });
      return { return: {} };
    },
    device_del: ({ id }) => unplug(id),
    "blockdev-del"({ "node-name": name }) {
      if (!nodes.has(name)) return refuse(`Failed to find node with node-name='${name}'`);
      if (devices.has(name)) return refuse(`Node ${name} is in use`);
      nodes.delete(name);
      return { return: {} };
    },
    block_resize({ "node-name": name, size }) {
      const node = nodes.get(name);
      if (!node) return refuse(`Cannot find device='' nor node-name='${name}'`);
      node.size = size;
      return { return: {} };
    },
  };
  const server: Server = createServer((socket) => {
    socket.write(`${JSON.stringify({ QMP: { version: {}, capabilities: [] } })}\r\n`);
    socket.on("error", () => undefined);
    createInterface({ input: socket }).on("line", (line) => {
      const { execute, arguments: given } = JSON.parse(line) as Command;
      const answer = commands[execute]?.(given) ?? refuse(`The command ${execute} has not been found`);
      socket.write(`${JSON.stringify(answer)}\r\n`);
    });
  });
  server.listen(path);
  onTestFinished(() => void server.close());
  return { nodes, devices, unplug };
}

/** Two machines of this computer, as far as disks concern them. */
function makeComputer() {
  const folder = mkdtempSync(join(tmpdir(), "dv-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const machines = new Map<string, Machine>();
  const monitors = new Map<string, ReturnType<typeof startMonitor>>();
  for (const id of ["m-one", "m-two"]) {
    mkdirSync(machineDirectory(folder, id), { recursive: true });
    monitors.set(id, startMonitor(join(machineDirectory(folder, id), machineFiles.monitor)));
    machines.set(id, { id, launchId: "l", slot: 0, state: "running", type: "local", zone: "local" });
  }
  const open = () => openVolumes({ folder, clock: systemClock, machine: async (id) => machines.get(id) });
  const end = (id: string) => {
    const machine = machines.get(id);
    if (machine) machines.set(id, { ...machine, state: "gone" });
  };
  const diskFile = (id: string) => join(folder, "volumes", `${id}.qcow2`);
  const sizeOf = async (id: string): Promise<number> =>
    JSON.parse(await runTool(["qemu-img", "info", "--output=json", diskFile(id)]))["virtual-size"];
  return { folder, open, end, monitors, sizeOf };
}

volumesContract(async () => {
  const { open, end } = makeComputer();
  return {
    volumes: open(),
    zone: "local",
    machineIds: ["m-one", "m-two"],
    endMachine: async (id) => end(id),
    pause: () => systemClock.sleep(10),
  };
});

const spec = { id: "pvc-1", cluster: "test", name: "default/data", zone: "local", sizeBytes: GiB, parameters: {} };

test("the disk is a qcow2 of its size, plugged in by a serial number that the machine finds it by", async () => {
  const { open, monitors, sizeOf, folder } = makeComputer();
  const volumes = open();
  await volumes.ensure(spec);
  expect(await sizeOf(spec.id)).toBe(GiB);
  await volumes.attach(spec.id, "m-one");
  const [device] = [...(monitors.get("m-one")?.devices.values() ?? [])];
  const [node] = [...(monitors.get("m-one")?.nodes.values() ?? [])];
  expect(node?.filename).toBe(join(folder, "volumes", "pvc-1.qcow2"));
  const [shown] = (await volumes.observe()).volumes;
  expect(shown?.device).toBe(`/dev/disk/by-id/virtio-${device?.serial}`);
  await volumes.ensure({ ...spec, sizeBytes: 3 * GiB });
  expect(node?.size).toBe(3 * GiB);
  await volumes.detach(spec.id);
  expect(monitors.get("m-one")?.nodes.size).toBe(0);
  await volumes.ensure({ ...spec, sizeBytes: 4 * GiB });
  expect(await sizeOf(spec.id)).toBe(4 * GiB);
});

test("whoever opens the folder again goes on with what was begun", async () => {
  const { open, monitors, sizeOf, folder } = makeComputer();
  await open().ensure(spec);
  const note = join(folder, "volumes", "pvc-1.json");
  // Ended while the disk was being made.
  writeFileSync(note, JSON.stringify({ version: 1, spec, phase: "creating" }));
  await open().ensure(spec);
  expect(await sizeOf(spec.id)).toBe(GiB);
  await open().attach(spec.id, "m-one");
  // Ended before it was noted that the disk is there, and once more before it was noted that it is not.
  writeFileSync(note, JSON.stringify({ version: 1, spec, phase: "attaching", machineId: "m-one" }));
  await open().attach(spec.id, "m-one");
  expect((await open().observe()).volumes).toMatchObject([{ state: "attached", machineId: "m-one" }]);
  expect(monitors.get("m-one")?.devices.size).toBe(1);
  // The guest was asked by the one before, and has not let go yet.
  const [name = ""] = [...(monitors.get("m-one")?.devices.keys() ?? [])];
  monitors.get("m-one")?.unplug(name);
  await open().detach(spec.id);
  writeFileSync(note, JSON.stringify({ version: 1, spec, phase: "detaching", machineId: "m-one" }));
  await open().detach(spec.id);
  expect((await open().observe()).volumes).toMatchObject([{ state: "available" }]);
});
