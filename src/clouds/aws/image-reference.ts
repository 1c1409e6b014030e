import { DroverError } from "../../base/errors.ts";
import type { Architecture, ImageFamily } from "../cloud.ts";

/** Where AWS may be asked for an image, one after the other: the newest of `pattern` counts. */
export type ImageSource = { id: string } | { parameter: string } | { pattern: string; owner: string };
export type ImageReference = { sources: readonly ImageSource[]; family?: ImageFamily };

/** Accounts that publish images. */
const owners = { debian: "136693071363", ubuntu: "099720109477", amazon: "amazon" } as const;
const awsArchitectures = { amd64: "x86_64", arm64: "arm64" } as const;

export const awsArchitecture = (architecture: Architecture): "x86_64" | "arm64" => awsArchitectures[architecture];

type Series = { name: RegExp; family: ImageFamily; sources: (version: string, arch: Architecture) => ImageSource[] };

const ubuntuVersion = "24.04";
const ubuntuParameters = "/aws/service/canonical/ubuntu/server";

/** Families by name; a version is the group of the pattern. Sources: each distribution's page about its cloud images. */
const series: readonly Series[] = [
  {
    name: /^debian(?:-(\d+))?$/,
    family: "debian",
    sources: (version = "12", arch) => [
      { parameter: `/aws/service/debian/release/${version}/latest/${arch}` },
      { pattern: `debian-${version}-${arch}-2*`, owner: owners.debian },
    ],
  },
  {
    name: /^ubuntu(?:-(\d\d\.\d\d))?$/,
    family: "ubuntu",
    sources: (version = ubuntuVersion, arch) => [
      { parameter: `${ubuntuParameters}/${version}/stable/current/${arch}/hvm/ebs-gp3/ami-id` },
      { parameter: `${ubuntuParameters}/${version}/stable/current/${arch}/hvm/ebs-gp2/ami-id` },
      { pattern: `ubuntu/images/hvm-ssd*/ubuntu-*-${version}-${arch}-server-*`, owner: owners.ubuntu },
    ],
  },
  {
    name: /^(?:al|amazon-linux-)2023(-minimal)?$/,
    family: "amazon-linux",
    sources: (minimal = "", arch) => [
      {
        parameter: `/aws/service/ami-amazon-linux-latest/al2023-ami${minimal}-kernel-default-${awsArchitecture(arch)}`,
      },
      { pattern: `al2023-ami${minimal || "-2023"}*-kernel-*-${awsArchitecture(arch)}`, owner: owners.amazon },
    ],
  },
];

const forms =
  "an id (ami-…), a parameter (ssm:/path), a name (name:PATTERN@OWNER) or a family (debian-12, ubuntu-24.04, al2023)";

/** What a reference to a machine image means. @throws CLOUD_INVALID: it has none of the forms */
export function parseImageReference(reference: string, architecture: Architecture): ImageReference {
  if (/^ami-[0-9a-f]{8,17}$/.test(reference)) return { sources: [{ id: reference }] };
  const [, parameter] = /^ssm:(\/[\w./-]+)$/.exec(reference) ?? [];
  if (parameter !== undefined) return { sources: [{ parameter }] };
  const [, pattern, owner] = /^name:([^@]+)(?:@(self|amazon|aws-marketplace|\d{12}))?$/.exec(reference) ?? [];
  if (pattern !== undefined) return { sources: [{ pattern, owner: owner ?? "self" }] };
  for (const { name, family, sources } of series) {
    const match = name.exec(reference);
    if (match) return { family, sources: sources(match[1] as string, architecture) };
  }
  throw new DroverError("CLOUD_INVALID", `"${reference}" is no machine image of AWS: name ${forms}.`, {
    image: reference,
  });
}

/** A family by what an image is called and who made it; what nobody knows has to bring everything itself. */
export function familyOf(name: string, ownerId: string, tag: string | undefined): ImageFamily {
  const named = (["debian", "ubuntu", "amazon-linux", "other"] as const).find((family) => family === tag);
  if (named) return named;
  if (ownerId === owners.debian || /^debian-\d/.test(name)) return "debian";
  if (ownerId === owners.ubuntu || /(^|\/)ubuntu-/.test(name)) return "ubuntu";
  return /^(al20\d\d|amzn2?)-ami|^amazon-eks-node-al20|^al2023-/.test(name) ? "amazon-linux" : "other";
}
