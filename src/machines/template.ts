import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import type { Pod } from "../api/types.gen.ts";
import { DroverError } from "../base/errors.ts";
import type { Architecture, MachineTemplate } from "../clouds/cloud.ts";
import { machineSize } from "./sizing.ts";
import { renderUserData, type UserDataContext } from "./userdata.ts";

export type TemplateOptions = {
  /** The operator's SSH public key, in OpenSSH's form. */
  authorizedKey: string;
  /** Where the Pod's annotation `drover.dev/engine` says nothing. Default: `oci`. */
  engine?: string;
  /** A folder with templates of the user's own, which stand in for drover's of the same name. */
  templatesDir?: string;
  /** Machine image. Default: `debian-12`. */
  image?: string;
  /** Where the Pod's node selector says nothing. Default: `amd64`. */
  architecture?: Architecture;
};

/** EC2's limit, counted before base64. */
const userDataBytesMax = 16_384;

/**
 * What a Pod's machine is made of. Pods that differ only in name, UID, ConfigMaps and the like get equal templates.
 * @throws TEMPLATE_INVALID, USER_DATA_TOO_LARGE
 */
export function machineTemplate(pod: Pod, options: TemplateOptions): MachineTemplate {
  const annotations = pod.metadata.annotations ?? {};
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const images = [...new Set(containers.flatMap(({ image }) => (image === undefined ? [] : [image])))];
  const context: UserDataContext = {
    engine: annotations["drover.dev/engine"] ?? options.engine ?? "oci",
    authorizedKey: options.authorizedKey,
    namespace: pod.metadata.namespace ?? "default",
    labels: pod.metadata.labels ?? {},
    annotations,
    images,
  };
  const userData = render(annotations["drover.dev/template"] ?? "base", context, options.templatesDir);
  const selected = pod.spec.nodeSelector?.["kubernetes.io/arch"];
  const made = {
    image: options.image ?? "debian-12",
    userData,
    architecture: selected === "amd64" || selected === "arm64" ? selected : (options.architecture ?? "amd64"),
    ...machineSize(pod.spec),
  };
  const hash = createHash("sha256").update(JSON.stringify(made)).digest("hex").slice(0, 16);
  return { hash, ...made, prefetch: images };
}

const rendered = new Map<string, string>();
const renderedMax = 200;

/** Rendered once for equal inputs: controllers ask again and again for the same few revisions. */
function render(name: string, context: UserDataContext, templatesDir: string | undefined): string {
  const key = JSON.stringify([name, context, templatesDir]);
  const known = rendered.get(key);
  if (known !== undefined) return known;
  const text = renderUserData(name, context, templatesDir);
  const size = gzipSync(text, { level: 9 }).byteLength;
  if (size > userDataBytesMax) {
    throw new DroverError(
      "USER_DATA_TOO_LARGE",
      `The user data is ${size} bytes once compressed; at most ${userDataBytesMax} are possible.`,
      { sizeBytes: size, maxBytes: userDataBytesMax },
    );
  }
  if (rendered.size >= renderedMax) rendered.clear();
  rendered.set(key, text);
  return text;
}
