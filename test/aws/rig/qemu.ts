import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/base/clock.ts";
import { homeFolder } from "../../../src/cli/home.ts";
import { buildGuestImage, type GuestImage } from "../../../src/clouds/local/image.ts";
import { macOf } from "../../../src/clouds/local/machine-record.ts";
import { machineFiles, makeOverlay, qemuCommand } from "../../../src/clouds/local/qemu.ts";
import { loadedDigest, registryMirror } from "../../../src/clouds/local/registry.ts";
import { endProcess } from "../../../src/clouds/local/save-machine.ts";
import type { Body } from "./body.ts";
import type { Metadata } from "./imds.ts";
import type { Launched, StartBody } from "./instances.ts";
import { bakeImage } from "./qemu-image.ts";
import { type MachineNetwork, openMachineNetwork } from "./qemu-network.ts";
import { openPort, type Port } from "./qemu-ports.ts";
import { textsOf } from "./request.ts";

/** Instances as emulated machines that boot from what moto has stored of them, and find it as on EC2. */
export type QemuMachines = {
  start: StartBody;
  /** What an instance has shown on its console. */
  console(instanceId: string): string;
  /** What it asked the metadata service, with the answers' status: `PUT /latest/api/token 200`. */
  asked(instanceId: string): ReadonlySet<string>;
  /** Instances whose machine runs. */
  running(): Promise<string[]>;
  close(): Promise<void>;
};

const region = "us-east-1";
const memoryBytes = 512 * 2 ** 20;
const sshPort = 22;
/** The plainest one is emulated in the least time: a boot takes a fifth less of it than with all that QEMU knows. */
const processor = "qemu64";

/** `images`: of containers, that the machines are to find; `drover setup` has loaded them. */
export async function openQemuMachines(images: readonly string[]): Promise<QemuMachines> {
  const setUp = homeFolder();
  const absent = images.find((reference) => loadedDigest(setUp, reference) === undefined);
  if (absent !== undefined) throw new Error(`${absent} is not in the machines' registry; run drover setup`);
  const image = await buildGuestImage();
  const home = mkdtempSync(join(tmpdir(), "rq-"));
  const forget = () => rmSync(home, { recursive: true, force: true });
  const disk = join(home, "image.qcow2");
  const network = await bakeImage(image, disk, registryMirror)
    .then(() => openMachineNetwork(home, setUp))
    .catch((error: unknown) => {
      forget();
      throw error;
    });
  const folderOf = (instanceId: string) => join(home, instanceId);
  const consoleOf = (instanceId: string) => {
    try {
      return readFileSync(join(folderOf(instanceId), machineFiles.console), "utf8");
    } catch {
      return "";
    }
  };
  const addresses = new Map<string, string>();
  return {
    async start(launched) {
      const { instanceId, address } = launched;
      addresses.set(instanceId, address);
      const folder = folderOf(instanceId);
      mkdirSync(folder);
      const tap = await boot({ launched, network, image, disk, folder });
      const ports = new Map<number, Port>();
      const open = (port: number) => {
        const present = ports.has(port);
        if (!present) ports.set(port, openPort(network.holder, { address, port }));
      };
      open(sshPort);
      return {
        get console() {
          return consoleOf(instanceId);
        },
        expose: open,
        attach: () => {
          throw new Error("these machines take no disks");
        },
        detach: () => undefined,
        async end() {
          await Promise.all([...ports.values()].map((port) => port.close()));
          await endProcess(network.holder, instanceId, systemClock);
          await network.take(address, tap);
        },
      } satisfies Body;
    },
    console: consoleOf,
    asked: (instanceId) => network.asked(addresses.get(instanceId) ?? ""),
    async running() {
      const processes = await network.holder.processes();
      return processes.filter(({ id, running }) => running && addresses.has(id)).map(({ id }) => id);
    },
    async close() {
      await network.close();
      forget();
    },
  };
}

type Boot = { launched: Launched; network: MachineNetwork; image: GuestImage; disk: string; folder: string };

/** Starts the machine and gives the name of its tap. */
async function boot({ launched, network, image, disk, folder }: Boot): Promise<string> {
  const { instanceId, address } = launched;
  const tap = `t${instanceId.slice(-10)}`;
  const { mac } = await network.give(address, tap, metadataOf(launched));
  await makeOverlay(join(folder, machineFiles.disk), disk, image.diskBytes);
  const shape = { accelerator: "tcg", cpus: 1, memoryBytes } as const;
  const guest = { id: instanceId, shape, kernel: image.kernel, address, mac, tap, incoming: false };
  const words = qemuCommand(guest).map((word) =>
    word === machineFiles.initrd ? image.initrd : word.replace(/ ip=\S+/, ""),
  );
  // By this cloud-init knows that it is on EC2.
  const uuid = `ec2${instanceId.slice(-17, -12)}-${instanceId.slice(-12, -8)}-4000-8000-${instanceId.slice(-12)}`;
  const argv = [...words, "-cpu", processor, "-smbios", `type=1,manufacturer=Amazon EC2,uuid=${uuid},serial=${uuid}`];
  await network.holder.spawn({ id: instanceId, argv, cwd: folder, logPath: join(folder, "qemu.log") });
  return tap;
}

/** What the metadata service tells this instance of itself. */
function metadataOf({ instanceId, address, userData, xml }: Launched): Metadata {
  const of = (element: string): string => textsOf(xml, element)[0] ?? "";
  const zone = of("availabilityZone");
  const hostname = of("privateDnsName");
  const mac = macOf(address);
  const document = {
    instanceId,
    region,
    availabilityZone: zone,
    instanceType: of("instanceType"),
    imageId: of("imageId"),
  };
  return {
    "meta-data": {
      ...{ "ami-id": of("imageId"), "ami-launch-index": of("amiLaunchIndex"), hostname, "instance-id": instanceId },
      ...{ "instance-type": of("instanceType"), "local-hostname": hostname, "local-ipv4": address, mac },
      network: { interfaces: { macs: { [mac]: { "device-number": "0", "local-ipv4s": address, mac } } } },
      placement: { "availability-zone": zone, region },
      "reservation-id": "r-0",
      services: { domain: "amazonaws.com", partition: "aws" },
    },
    dynamic: { "instance-identity": { document: JSON.stringify(document) } },
    "user-data": Buffer.from(userData, "base64"),
  };
}
