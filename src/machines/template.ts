import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { type LabelLookup, nodeRequirementsMatcher } from "../api/labels.ts";
import type { NodeSelectorTerm, Pod, PodSpec } from "../api/types.gen.ts";
import { DroverError } from "../base/errors.ts";
import type { Architecture, MachineImage, MachineTemplate } from "../clouds/cloud.ts";
import { type Installation, imagesOf, installationOf } from "./catalog.ts";
import { gpusOf, machineSize } from "./sizing.ts";
import { renderUserData, type UserDataContext } from "./userdata.ts";

export type TemplateOptions = {
  /** The operator's SSH public key, in OpenSSH's form. */
  authorizedKey: string;
  /** Where neither the Pod's annotation `drover.dev/engine` nor its images say. Default: `oci`. */
  engine?: string;
  /** A folder with templates of the user's own, which stand in for drover's of the same name. */
  templatesDir?: string;
  /** Machine image as the cloud has looked it up; `imageReference` says of what. Default: Debian 12. */
  image?: MachineImage;
  /** Where neither the Pod nor its machine image says. Default: `amd64`. */
  architecture?: Architecture;
  /** Annotations of the Pod's ServiceAccount, which name what its machine may do at the provider. */
  serviceAccount?: Readonly<Record<string, string>>;
};

/** EC2's limit, counted before base64. */
const userDataBytesMax = 16_384;

const defaultImage = { id: "debian-12", family: "debian" } as const;

/**
 * What a Pod's machine is made of. Pods that differ only in name, UID, ConfigMaps and the like get equal templates.
 * @throws TEMPLATE_INVALID, USER_DATA_TOO_LARGE, CLOUD_INVALID (an image that the engine has no use for, by its field)
 */
export function machineTemplate(pod: Pod, options: TemplateOptions): MachineTemplate {
  const { metadata, spec } = pod;
  const annotations = metadata.annotations ?? {};
  const engine = engineOf(pod, options.engine);
  const { id, family } =
    engine === "ami" ? { id: imageReference(pod) ?? "", family: "other" as const } : (options.image ?? defaultImage);
  const images = pulledImages(pod, engine);
  const context: UserDataContext = {
    engine,
    family,
    dnf: family === "amazon-linux",
    ...(engine === "native" ? installationOf(spec, family, options.templatesDir) : nothingInstalled),
    authorizedKey: options.authorizedKey,
    namespace: metadata.namespace ?? "default",
    labels: metadata.labels ?? {},
    annotations,
    images,
  };
  const userData = render(annotations["drover.dev/template"] ?? "base", context, options.templatesDir);
  const ports = declaredPorts(spec);
  const profile = profileOf(options.serviceAccount ?? {});
  const gpus = gpusOf(spec);
  const made = {
    image: id,
    userData,
    architecture: options.image?.architecture ?? architecturesOf(pod, options.architecture)[0],
    ...machineSize(spec),
    ...(gpus > 0 && { gpus }),
    ...(ports.length > 0 && { ports }),
    ...(profile !== undefined && { profile }),
  };
  const hash = createHash("sha256").update(JSON.stringify(made)).digest("hex").slice(0, 16);
  return { hash, ...made, prefetch: images };
}

const nothingInstalled: Installation = { services: [], packages: [], setup: "", catalog: "{}" };

const architectureKeys = new Set(["kubernetes.io/arch", "beta.kubernetes.io/arch"]);
const architectures: readonly Architecture[] = ["amd64", "arm64"];

/**
 * Architectures that the Pod's node selector and required node affinity leave open: first the one it prefers, else
 * `otherwise`. Where they leave none open it is `otherwise` too, for which no offer will do.
 */
export function architecturesOf(
  { spec }: Pick<Pod, "spec">,
  otherwise: Architecture = "amd64",
): [Architecture, ...Architecture[]] {
  const { requiredDuringSchedulingIgnoredDuringExecution: required, preferredDuringSchedulingIgnoredDuringExecution } =
    spec.affinity?.nodeAffinity ?? {};
  const selected = Object.entries(spec.nodeSelector ?? {}).map(([key, value]) => ({
    ...{ key, operator: "In" },
    values: [value],
  }));
  const allows = (one: Architecture): boolean =>
    matchesBy({ matchExpressions: selected }, one) &&
    (required === undefined || required.nodeSelectorTerms.some((term) => matchesBy(term, one)));
  const liking = (one: Architecture): number =>
    (preferredDuringSchedulingIgnoredDuringExecution ?? [])
      .filter(({ preference }) => byArchitecture(preference).length > 0 && matchesBy(preference, one))
      .reduce((sum, { weight }) => sum + weight, one === otherwise ? 0.5 : 0);
  const [first = otherwise, ...others] = architectures.filter(allows).sort((a, b) => liking(b) - liking(a));
  return [first, ...others];
}

const byArchitecture = ({ matchExpressions = [] }: NodeSelectorTerm) =>
  matchExpressions.filter(({ key }) => architectureKeys.has(key));

/** Whether a machine of this architecture can meet the term, as far as that depends on the architecture. */
const matchesBy = (term: NodeSelectorTerm, one: Architecture): boolean => {
  const labelOf: LabelLookup = () => one;
  return nodeRequirementsMatcher(byArchitecture(term))(labelOf);
};

const isMachineImage = (image: string): boolean => /^ami-[0-9a-f]+$/.test(image);

/** The machine image that the Pod itself asks for: its container image, where that is one, or its annotation. */
export function imageReference({ metadata, spec }: Pod): string | undefined {
  return imagesOf(spec).find(({ image }) => isMachineImage(image))?.image ?? metadata.annotations?.["drover.dev/image"];
}

/** Container images that a registry has: none where packages or the machine image itself take their place. */
export function pulledImages(pod: Pick<Pod, "metadata" | "spec">, engine = "oci"): readonly string[] {
  const chosen = pod.metadata.annotations?.["drover.dev/engine"] ?? engine;
  const images = [...new Set(imagesOf(pod.spec).flatMap(({ image }) => image || []))];
  return chosen === "native" || chosen === "ami" || images.some(isMachineImage) ? [] : images;
}

/** @throws CLOUD_INVALID: a machine image beside another image, or an engine that can't run the image */
function engineOf({ metadata, spec }: Pod, otherwise = "oci"): string {
  const asked = metadata.annotations?.["drover.dev/engine"];
  const images = imagesOf(spec);
  const machine = images.find(({ image }) => isMachineImage(image));
  const engine = asked ?? (machine ? "ami" : otherwise);
  if (engine !== "ami" && !machine) return engine;
  const odd = engine === "ami" ? images.find(({ image }) => image !== machine?.image) : machine;
  if (!odd) return engine;
  const why =
    engine === "ami"
      ? `all containers of a Pod on a machine image have that image${machine ? `, ${machine.image}` : " (ami-…)"}`
      : `the engine ${engine} runs no machine image; leave the annotation drover.dev/engine out`;
  throw new DroverError("CLOUD_INVALID", `${odd.path}: "${odd.image}" is not possible here: ${why}.`, {
    field: odd.path,
  });
}

/** Ports that containers declare and that stay open, by number. */
function declaredPorts({ containers, initContainers = [] }: PodSpec): NonNullable<MachineTemplate["ports"]> {
  const lasting = [...containers, ...initContainers.filter(({ restartPolicy }) => restartPolicy === "Always")];
  const ports = lasting.flatMap(({ ports: declared = [] }) =>
    declared.flatMap(({ containerPort: port, protocol = "TCP" }) =>
      protocol === "TCP" || protocol === "UDP" ? [{ port, protocol } as const] : [],
    ),
  );
  const unique = [...new Map(ports.map((each) => [`${each.port}/${each.protocol}`, each])).values()];
  return unique.sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

/** An instance profile's name or ARN. A role's is taken to have the role's name, as the AWS console makes it. */
const profileOf = (annotations: Readonly<Record<string, string>>): string | undefined =>
  annotations["drover.dev/instance-profile"] ?? annotations["eks.amazonaws.com/role-arn"]?.replace(/^.*\//, "");

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
