import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { GuestImage } from "../../../src/clouds/local/image.ts";
import { runTool } from "../../../src/clouds/local/run-tool.ts";

/** What makes the guest image a golden one for EC2: podman is in it, and a mirror of the registry that the account has. */
const placed = (mirror: string) => ({
  "/etc/containers/registries.conf.d/00-mirror.conf": `[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "${mirror}/docker.io"
insecure = true
`,
});

/** With these, cloud-init would look for no data source but a disk's, and leave the network alone. */
const removed = ["/etc/cloud/cloud.cfg.d/95-drover.cfg"];

/** An image's disk (qcow2) in `folder`: the guest's, with cloud-init as Debian has it. `mirror`: `host:port`. */
export async function bakeImage(image: GuestImage, folder: string, mirror: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const [raw, disk] = [join(folder, "disk.raw"), join(folder, "disk.qcow2")];
  await runTool(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", image.disk, raw]);
  const commands = removed.map((path) => `rm ${path}`);
  for (const [path, content] of Object.entries(placed(mirror))) {
    const file = join(folder, "placed");
    await writeFile(file, content);
    commands.push(`write ${file} ${path}`);
  }
  await writeFile(join(folder, "commands"), `${commands.join("\n")}\n`);
  await runTool(["debugfs", "-w", "-f", join(folder, "commands"), raw]);
  await runTool(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk]);
  await rm(raw);
  return disk;
}
