import { rm, writeFile } from "node:fs/promises";
import type { GuestImage } from "../../../src/clouds/local/image.ts";
import { runTool } from "../../../src/clouds/local/run-tool.ts";

/** What makes the guest image a golden one for EC2: podman is in it, and the account's own mirror of the registry. */
const mirrorFile = "/etc/containers/registries.conf.d/00-mirror.conf";
const mirrored = (mirror: string) => `[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "${mirror}/docker.io"
insecure = true
`;

/** With these, cloud-init would look for no data source but a disk's, and leave the network alone. */
const removed = ["/etc/cloud/cloud.cfg.d/95-drover.cfg"];

/** Writes an image's disk (qcow2) to `path`: the guest's, with cloud-init as Debian has it. `mirror`: `host:port`. */
export async function bakeImage(image: GuestImage, path: string, mirror: string): Promise<void> {
  const [raw, content, script] = [`${path}.raw`, `${path}.content`, `${path}.commands`];
  await runTool(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", image.disk, raw]);
  await writeFile(content, mirrored(mirror));
  await writeFile(script, [...removed.map((each) => `rm ${each}`), `write ${content} ${mirrorFile}`, ""].join("\n"));
  await runTool(["debugfs", "-w", "-f", script, raw]);
  await runTool(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path]);
  for (const scratch of [raw, content, script]) await rm(scratch);
}
