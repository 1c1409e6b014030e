import { Command, Option } from "commander";
import type { KubeObject } from "../api/object.ts";
import type { Pod, PodTemplateSpec } from "../api/types.gen.ts";
import { DroverError } from "../base/errors.ts";
import type { ImageFamily } from "../clouds/cloud.ts";
import { architecturesOf, imageReference, machineTemplate } from "../machines/template.ts";
import { readManifests } from "./manifests.ts";
import { terminal } from "./print.ts";

type Options = { filename: string; family: ImageFamily; engine?: string; templates?: string };

const families: readonly ImageFamily[] = ["debian", "ubuntu", "amazon-linux", "other"];

export const renderCommand = (): Command =>
  new Command("render")
    .description(
      "Print the cloud-init user data that the Pods of a manifest boot with. Reaches no cloud, writes nothing.",
    )
    .requiredOption("-f, --filename <file>", "manifest, or - for standard input")
    .addOption(new Option("--family <name>", "what the machine image is made of").choices(families).default("debian"))
    .option("--engine <name>", "what runs containers where the Pod does not say: oci, native")
    .option("--templates <dir>", "templates of your own, which stand in for drover's of the same name")
    .action(({ filename, family, engine, templates }: Options) => {
      const io = terminal();
      const pods = readManifests(filename).flatMap((object) => podOf(object) ?? []);
      if (pods.length === 0) throw new DroverError("USAGE", `${filename} has no Pod and nothing that makes Pods`);
      const options = {
        authorizedKey: "ssh-ed25519 <the operator's key>",
        ...(engine !== undefined && { engine }),
        ...(templates && { templatesDir: templates }),
      };
      for (const pod of pods) {
        const [architecture] = architecturesOf(pod);
        const image = { id: imageReference(pod) ?? family, family, architecture, diskBytesMin: 0 };
        const { userData, cpuMillis, memoryBytes } = machineTemplate(pod, { ...options, image });
        const size = `${cpuMillis}m CPU, ${Math.round(memoryBytes / 2 ** 20)}Mi memory`;
        io.out(`# ${pod.metadata.name}: ${family}, ${architecture}, ${size}`);
        io.out(userData);
      }
    });

/** A Pod as the object is or would make it. */
function podOf(object: KubeObject): Pod | undefined {
  if (object.kind === "Pod") return object as Pod; // The manifest says so.
  const template = (object.spec as { template?: PodTemplateSpec } | undefined)?.template;
  if (template?.spec === undefined) return undefined;
  const metadata = { ...template.metadata, name: object.metadata.name };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: template.spec };
}
