import { Command } from "commander";
import type { KubeObject } from "../api/object.ts";
import type { Pod, PodTemplateSpec } from "../api/types.gen.ts";
import { DroverError } from "../base/errors.ts";
import { machineTemplate } from "../machines/template.ts";
import { readManifests } from "./manifests.ts";
import { terminal } from "./print.ts";

type Options = { filename: string; templates?: string };

export const renderCommand = (): Command =>
  new Command("render")
    .description(
      "Print the cloud-init user data that the Pods of a manifest boot with. Reaches no cloud, writes nothing.",
    )
    .requiredOption("-f, --filename <file>", "manifest, or - for standard input")
    .option("--templates <dir>", "templates of your own, which stand in for drover's of the same name")
    .action(({ filename, templates }: Options) => {
      const io = terminal();
      const pods = readManifests(filename).flatMap((object) => podOf(object) ?? []);
      if (pods.length === 0) throw new DroverError("USAGE", `${filename} has no Pod and nothing that makes Pods`);
      const options = {
        authorizedKey: "ssh-ed25519 <the operator's key>",
        ...(templates && { templatesDir: templates }),
      };
      for (const pod of pods) {
        const { hash, userData, cpuMillis, memoryBytes } = machineTemplate(pod, options);
        io.out(
          `# ${pod.metadata.name}: machine template ${hash}, ${cpuMillis}m CPU, ${Math.round(memoryBytes / 2 ** 20)}Mi memory`,
        );
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
