import { dotted, makeZone } from "./hosted-zones.ts";
import { publicImages } from "./images.ts";
import { makeGroup } from "./security-groups.ts";
import type { AwsWorld, Resource } from "./world.ts";

/** What an account has before drover comes. */
export type Furniture = {
  /** Private subnets beside the default public ones. Default: none. */
  privateSubnets?: boolean;
  /** Private hosted zones of the default network. Default: none. */
  hostedZones?: readonly string[];
  /** False: the account has deleted its default network. */
  defaultVpc?: boolean;
};

export function furnish(
  world: AwsWorld,
  { privateSubnets = false, hostedZones = [], defaultVpc = true }: Furniture,
): void {
  for (const architecture of ["x86_64", "arm64"] as const) addImages(world, architecture);
  if (!defaultVpc) return;
  const vpc = { ...old(world), id: world.id("vpc"), cidr: "172.31.0.0/16", isDefault: true, tags: new Map() };
  world.vpcs.set(vpc.id, vpc);
  makeGroup(world, {
    name: "default",
    description: "default VPC security group",
    vpcId: vpc.id,
    tags: new Map(),
  }).visibleAtMs = Number.NEGATIVE_INFINITY;
  for (const name of hostedZones) makeZone(world, { name: dotted(name), vpcId: vpc.id, callerReference: name });
  for (const isPublic of privateSubnets ? [true, false] : [true]) addSubnets(world, vpc.id, isPublic);
}

/** Everybody has seen it long ago. */
const old = (world: AwsWorld): Resource => ({ ...world.made(), visibleAtMs: Number.NEGATIVE_INFINITY });

function addSubnets(world: AwsWorld, vpcId: string, isPublic: boolean): void {
  world.account.zones.forEach((zone, index) => {
    const block = (isPublic ? index : index + 8) * 16;
    const id = world.id("subnet");
    const facts = { id, vpcId, zone, cidr: `172.31.${block}.0/20`, isPublic, isDefault: isPublic };
    world.subnets.set(id, { ...old(world), ...facts, reserved: 0, nextHost: 0, tags: new Map() });
  });
}

function addImages(world: AwsWorld, architecture: "x86_64" | "arm64"): void {
  for (const { parameters, ...image } of publicImages(architecture)) {
    const id = world.id("ami");
    world.images.set(id, { ...old(world), ...image, id, architecture });
    for (const name of parameters) world.parameters.set(name, id);
  }
}
