import { DescribeImagesCommand, type Image } from "@aws-sdk/client-ec2";
import { GetParameterCommand } from "@aws-sdk/client-ssm";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { Architecture, MachineImage } from "../cloud.ts";
import type { Send } from "./api.ts";
import { isKind } from "./errors.ts";
import { awsArchitecture, familyOf, type ImageSource, parseImageReference } from "./image-reference.ts";
import { tagsOf } from "./tags.ts";

/** With what a launch template needs to know of it. `rootDevice`: `/dev/xvda`. */
export type AwsImage = MachineImage & { rootDevice: string };

export type Images = {
  /** @throws CLOUD_INVALID: no such image, or it is of another architecture, or it can't be booted */
  find(reference: string, architecture: Architecture, signal?: AbortSignal): Promise<AwsImage>;
};

const believedMs = 86_400_000;
const familyTag = "drover.dev/family";

export function openImages(send: Send, clock: Clock): Images {
  const known = new Map<string, { image: AwsImage; atMs: number }>();
  return {
    async find(reference, architecture, signal) {
      const key = `${reference} ${architecture}`;
      const last = known.get(key);
      if (last && clock.monotonicMs() - last.atMs < believedMs) return last.image;
      const image = await find(send, reference, architecture, signal);
      known.set(key, { image, atMs: clock.monotonicMs() });
      return image;
    },
  };
}

async function find(send: Send, reference: string, architecture: Architecture, signal?: AbortSignal) {
  const { sources, family } = parseImageReference(reference, architecture);
  for (const source of sources) {
    const row = await ask(send, source, architecture, signal);
    if (!row) continue;
    const image = checked(row, reference, architecture);
    return family ? { ...image, family } : image;
  }
  const tried = sources.map((source) => Object.values(source).join(" of ")).join(", ");
  throw new DroverError(
    "CLOUD_INVALID",
    `There is no machine image ${reference} for ${architecture} in this region (asked for ${tried}).`,
    { image: reference },
  );
}

async function ask(send: Send, source: ImageSource, architecture: Architecture, signal?: AbortSignal) {
  try {
    if ("pattern" in source) return await newest(send, source.pattern, source.owner, architecture, signal);
    const id = "id" in source ? source.id : await parameter(send, source.parameter, signal);
    // An image that its owner has put behind newer ones is still the one that was asked for.
    const command = new DescribeImagesCommand({ ImageIds: [id], IncludeDeprecated: true });
    return (await send("ec2", command, { signal })).Images?.[0];
  } catch (error) {
    if (isKind(error, "absent")) return undefined;
    throw error;
  }
}

async function parameter(send: Send, name: string, signal?: AbortSignal): Promise<string> {
  const { Parameter } = await send("ssm", new GetParameterCommand({ Name: name }), { signal });
  return Parameter?.Value ?? "";
}

async function newest(send: Send, pattern: string, owner: string, architecture: Architecture, signal?: AbortSignal) {
  const Filters = [
    { Name: "name", Values: [pattern] },
    { Name: "state", Values: ["available"] },
  ];
  const { Images = [] } = await send("ec2", new DescribeImagesCommand({ Owners: [owner], Filters }), { signal });
  // One of another architecture is better than none: what is wrong with it can then be said.
  const fit = Images.filter((image) => image.Architecture === awsArchitecture(architecture));
  const byAge = (a: Image, b: Image) => ((a.CreationDate ?? "") < (b.CreationDate ?? "") ? 1 : -1);
  return [...(fit.length > 0 ? fit : Images)].sort(byAge)[0];
}

function checked(row: Image, reference: string, architecture: Architecture): AwsImage {
  const id = row.ImageId ?? "";
  const refuse = (why: string): never => {
    const name = reference === id ? id : `${reference} (${id})`;
    throw new DroverError("CLOUD_INVALID", `The machine image ${name} ${why}.`, { image: reference });
  };
  if (row.Architecture !== undefined && row.Architecture !== awsArchitecture(architecture)) {
    const other = row.Architecture === "arm64" ? "arm64" : "amd64";
    refuse(
      `is made for ${row.Architecture}, the Pod for ${architecture}: ` +
        `choose another image, or select kubernetes.io/arch=${other}`,
    );
  }
  if (row.State !== undefined && row.State !== "available") refuse(`is ${row.State}`);
  if (/windows/i.test(row.Platform ?? "")) refuse("is a Windows image; drover prepares machines with cloud-init");
  if (row.RootDeviceType !== undefined && row.RootDeviceType !== "ebs") refuse("has no EBS root disk");
  const rootDevice = row.RootDeviceName ?? "/dev/xvda";
  const root = row.BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === rootDevice);
  return {
    id,
    architecture,
    family: familyOf(row.Name ?? "", row.OwnerId ?? "", tagsOf(row.Tags)[familyTag]),
    diskBytesMin: (root?.Ebs?.VolumeSize ?? 0) * 2 ** 30,
    rootDevice,
  };
}
