import type { DescribeImagesRequest, DescribeImagesResult } from "@aws-sdk/client-ec2";
import { dateOf } from "../../../base/clock.ts";
import { AwsError } from "./errors.ts";
import { type Fields, matcher } from "./filters.ts";
import { pageOf } from "./paging.ts";
import type { InstanceType } from "./type-table.ts";
import type { AwsWorld, Resource } from "./world.ts";

export type Image = Resource & {
  id: string;
  name: string;
  ownerId: string;
  ownerAlias?: string;
  architecture: InstanceType["architecture"];
  rootDevice: string;
  rootGib: number;
  description: string;
};

const owners = { amazon: "137112412989", ubuntu: "099720109477", debian: "136693071363" };
const debianNames = { x86_64: "amd64", arm64: "arm64" } as const;

/** Public images, their sizes, and the SSM parameters that lead to them: §8 of the AWS facts. */
export function publicImages(architecture: InstanceType["architecture"]) {
  const arch = debianNames[architecture];
  const ubuntu = "/aws/service/canonical/ubuntu";
  return [
    {
      name: `al2023-ami-2023.9.20260427.0-kernel-6.1-${architecture}`,
      ownerId: owners.amazon,
      ownerAlias: "amazon",
      rootDevice: "/dev/xvda",
      rootGib: 8,
      description: "Amazon Linux 2023 AMI",
      parameters: ["default", "6.1"].map(
        (kernel) => `/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-${kernel}-${architecture}`,
      ),
    },
    ...[
      ["24.04", "noble", "ebs-gp3"],
      ["22.04", "jammy", "ebs-gp2"],
    ].flatMap(([release, code, disk]) => [
      {
        name: `ubuntu/images/hvm-ssd${disk === "ebs-gp3" ? "-gp3" : ""}/ubuntu-${code}-${release}-${arch}-server-20260901`,
        ownerId: owners.ubuntu,
        rootDevice: "/dev/sda1",
        rootGib: 8,
        description: `Canonical, Ubuntu, ${release}, ${arch} ${code} image`,
        parameters: [`${ubuntu}/server/${release}/stable/current/${arch}/hvm/${disk}/ami-id`],
      },
      {
        name: `ubuntu-minimal/images/hvm-ssd/ubuntu-${code}-${release}-${arch}-minimal-20260901`,
        ownerId: owners.ubuntu,
        rootDevice: "/dev/sda1",
        rootGib: 8,
        description: `Canonical, Ubuntu Minimal, ${release}, ${arch} ${code} image`,
        parameters: [`${ubuntu}/server-minimal/${release}/stable/current/${arch}/hvm/${disk}/ami-id`],
      },
    ]),
    ...["12", "13"].map((release) => ({
      name: `debian-${release}-${arch}-20260907-2228`,
      ownerId: owners.debian,
      rootDevice: "/dev/xvda",
      rootGib: 8,
      description: `Debian ${release} (20260907-2228)`,
      parameters: [`/aws/service/debian/release/${release}/latest/${arch}`],
    })),
  ];
}

const fields: Fields<Image & { tags?: never }> = {
  "image-id": ({ id }) => [id],
  name: ({ name }) => [name],
  architecture: ({ architecture }) => [architecture],
  "owner-id": ({ ownerId }) => [ownerId],
  "owner-alias": ({ ownerAlias }) => [ownerAlias],
  state: () => ["available"],
  "is-public": () => ["true"],
  "root-device-type": () => ["ebs"],
  "virtualization-type": () => ["hvm"],
  "image-type": () => ["machine"],
};

/** @throws InvalidAMIID.Malformed, InvalidAMIID.NotFound */
export function imageNamed(world: AwsWorld, id: string): Image {
  if (!/^ami-[0-9a-f]{8,17}$/.test(id)) throw new AwsError("InvalidAMIID.Malformed", `Invalid id: "${id}"`);
  const image = world.images.get(id);
  if (image === undefined) throw new AwsError("InvalidAMIID.NotFound", `The image id '[${id}]' does not exist`);
  return image;
}

export function describeImages(world: AwsWorld, input: DescribeImagesRequest): DescribeImagesResult {
  const wanted =
    input.ImageIds === undefined ? [...world.images.values()] : input.ImageIds.map((id) => imageNamed(world, id));
  const owned = ({ ownerId, ownerAlias }: Image) =>
    input.Owners === undefined ||
    input.Owners.some(
      (owner) => owner === ownerId || owner === ownerAlias || (owner === "self" && ownerId === world.account.id),
    );
  const { page, next } = pageOf(
    wanted.filter(owned).filter(matcher(input.Filters, fields)),
    input.MaxResults ?? 1_000,
    input.NextToken,
  );
  return { Images: page.map(shown), NextToken: next };
}

const shown = (image: Image) => ({
  ImageId: image.id,
  Name: image.name,
  OwnerId: image.ownerId,
  ImageOwnerAlias: image.ownerAlias,
  Architecture: image.architecture,
  Description: image.description,
  CreationDate: dateOf(1_788_220_800_000 + image.serial * 1_000).toISOString(),
  RootDeviceName: image.rootDevice,
  RootDeviceType: "ebs" as const,
  VirtualizationType: "hvm" as const,
  ImageType: "machine" as const,
  Hypervisor: "xen" as const,
  Public: true,
  EnaSupport: true,
  State: "available" as const,
  PlatformDetails: "Linux/UNIX",
  BlockDeviceMappings: [
    {
      DeviceName: image.rootDevice,
      Ebs: {
        DeleteOnTermination: true,
        Encrypted: false,
        SnapshotId: image.id.replace("ami-", "snap-"),
        VolumeSize: image.rootGib,
        VolumeType: "gp3" as const,
      },
    },
  ],
});
