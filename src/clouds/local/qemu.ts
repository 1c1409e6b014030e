import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { DroverError } from "../../base/errors.ts";
import type { GuestImage } from "./image.ts";
import { gatewayAddress } from "./network.ts";
import { runTool } from "./run-tool.ts";

/** How the processor of a guest comes about: `tcg` is software emulation. */
export type Accelerator = "kvm" | "tcg";

/** What a saved machine and its clones must have in common, devices and all. */
export type Shape = { accelerator: Accelerator; cpus: number; memoryBytes: number };

/** The processors and the memory that a machine gets for what its template asks, in few sizes: clones need one each. */
export const shapeOf = (accelerator: Accelerator, size: { cpuMillis: number; memoryBytes: number }): Shape => ({
  accelerator,
  cpus: Math.min(availableParallelism(), Math.max(1, Math.ceil(size.cpuMillis / 1000))),
  memoryBytes: Math.ceil(size.memoryBytes / memoryStepBytes) * memoryStepBytes,
});

const memoryStepBytes = 128 * 2 ** 20;

/** The names of the files that a machine's QEMU uses in the machine's own directory. */
export const machineFiles = {
  disk: "disk.qcow2",
  initrd: "initrd",
  console: "console.log",
  identity: "identity.sock",
  monitor: "monitor.sock",
} as const;

export type Guest = {
  id: string;
  shape: Shape;
  kernel: string;
  address: string;
  mac: string;
  tap: string;
  /** Absent: memory of its own. `shared`: what the guest writes goes to the file, else it stays private. */
  memory?: { path: string; shared: boolean };
  /** It waits for a saved state instead of booting. */
  incoming: boolean;
};

export const netmask = "255.255.0.0";

/** The command line of a machine's QEMU, to be run in the machine's directory. */
export function qemuCommand(guest: Guest): string[] {
  const { shape, memory } = guest;
  const bytes = shape.memoryBytes;
  const backend = memory
    ? `memory-backend-file,id=ram,size=${bytes},mem-path=${memory.path},share=${memory.shared ? "on" : "off"}`
    : `memory-backend-ram,id=ram,size=${bytes}`;
  return [
    ...["qemu-system-x86_64", "-name", guest.id, "-nodefaults", "-no-user-config", "-display", "none"],
    ...["-machine", "pc,memory-backend=ram,vmport=off,smm=off", "-object", backend, "-m", `${bytes / 2 ** 20}`],
    ...["-accel", accelerations[shape.accelerator], "-cpu", processorOf(shape.accelerator), "-smp", `${shape.cpus}`],
    ...["-kernel", guest.kernel, "-initrd", machineFiles.initrd, "-append", kernelCommandLine(guest)],
    ...["-drive", `file=${machineFiles.disk},if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap`],
    ...["-device", "virtio-blk-pci,drive=disk"],
    ...["-netdev", `tap,id=net,ifname=${guest.tap},script=no,downscript=no`],
    ...["-device", `virtio-net-pci,netdev=net,mac=${guest.mac},romfile=`],
    ...["-device", "virtio-serial-pci", "-chardev"],
    `socket,id=identity,path=${machineFiles.identity},server=on,wait=off`,
    ...["-device", "virtserialport,chardev=identity,name=drover.identity", "-device", "virtio-rng-pci"],
    ...["-chardev", `file,id=console,path=${machineFiles.console},append=on`, "-serial", "chardev:console"],
    ...["-qmp", `unix:${machineFiles.monitor},server=on,wait=off`],
    ...(guest.incoming ? ["-incoming", "defer"] : []),
  ];
}

/** Emulation keeps the code it has translated: at most so many MiB of it, where QEMU by itself would take a GiB. */
const accelerations = { kvm: "kvm", tcg: "tcg,tb-size=256" } as const;

/**
 * The processor, in QEMU's words; a saved state is of one processor alone. What costs an emulated one much and gives
 * programs nothing is left out: a fifth level of page tables, strings that the kernel moves byte by byte where it would
 * take eight at a time, what stops translated code before each look of the kernel at a program's memory, and names of
 * address spaces that emulation forgets at each change all the same.
 */
export const processorOf = (accelerator: Accelerator): string =>
  accelerator === "tcg" ? "max,la57=off,erms=off,smap=off,pcid=off" : "host";

/** The address comes by the kernel's command line, so that a reboot needs nobody. */
const kernelCommandLine = ({ address, memory }: Guest): string =>
  [
    ...["root=/dev/vda", "rw", "console=ttyS0", "quiet", "net.ifnames=0", "mitigations=off", "panic=10"],
    `ip=${address}::${gatewayAddress}:${netmask}::eth0:off`,
    ...(memory?.shared ? ["drover.saved"] : []),
  ].join(" ");

const probeTimeoutMs = 10_000;

/**
 * Whether hardware virtualization works here, found by starting a guest with it: /dev/kvm can exist and be useless. The
 * kernel finds no disk, panics and restarts, which ends QEMU in order.
 * @throws SETUP_MISSING where QEMU isn't installed
 */
export async function findAccelerator(image: GuestImage): Promise<Accelerator> {
  const argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", "128"];
  const kernel = ["-kernel", image.kernel, "-append", "console=ttyS0 panic=-1", "-serial", "stdio"];
  try {
    const kvm = ["-accel", "kvm", "-cpu", "host"];
    const said = await runTool([...argv, ...kvm, ...kernel], { signal: AbortSignal.timeout(probeTimeoutMs) });
    return said.includes("Linux version") ? "kvm" : "tcg";
  } catch (error) {
    if (error instanceof DroverError && error.code === "SETUP_MISSING") throw error;
    return "tcg";
  }
}

/** What tells one build of QEMU from another: a saved state is read by the build that wrote it only. */
export const qemuVersion = async (): Promise<string> =>
  (await runTool(["qemu-system-x86_64", "--version"])).split("\n")[0] ?? "";

/** A copy-on-write disk over `backing`, which may not change any more. */
export async function makeOverlay(path: string, backing: string, sizeBytes: number): Promise<void> {
  await runTool(["qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", "qcow2", path, `${sizeBytes}`]);
}

/** How much memory this computer's processes could still be given, in bytes. */
export async function memoryInfo(): Promise<{ totalBytes: number; availableBytes: number }> {
  const text = await readFile("/proc/meminfo", "utf8");
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024;
  return { totalBytes: field("MemTotal"), availableBytes: field("MemAvailable") };
}
