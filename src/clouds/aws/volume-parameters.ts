import type { CreateVolumeCommandInput, VolumeType } from "@aws-sdk/client-ec2";
import { DroverError } from "../../base/errors.ts";
import type { VolumeSpec } from "../volume.ts";
import { checkUserTags, type Tags } from "./tags.ts";

/** What a StorageClass asks of EBS, after `ebs.csi.aws.com`'s parameters. */
export type DiskRequest = Pick<
  CreateVolumeCommandInput,
  "VolumeType" | "Iops" | "Throughput" | "Encrypted" | "KmsKeyId" | "VolumeInitializationRate"
> & { tags: Tags };

const types: readonly string[] = ["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"];
/** The least and the most IOPS of the types that are given any. */
const iopsRange: Readonly<Record<string, readonly [number, number]>> = {
  gp3: [3_000, 80_000],
  io1: [100, 64_000],
  io2: [100, 256_000],
};
/** They are about the file system, which the machine makes. */
const ofFileSystem = /^(csi\.storage\.k8s\.io\/|fstype$|blocksize$|inodesize$|bytesperinode$|numberofinodes$)/i;
const tagParameter = /^tagspecification/;
/** A tag may name the claim and its volume, `{{ .PVCName }}`. */
const placeholder = /\{\{\s*(.*?)\s*\}\}/g;

const refuse = (name: string, value: string, why: string): DroverError =>
  new DroverError("CLOUD_INVALID", `The StorageClass parameter "${name}" can't be "${value}": ${why}.`, {
    parameter: name,
  });

function number(name: string, value: string): number {
  const parsed = Number(value);
  if (!Number.isInteger(parsed) || parsed <= 0) throw refuse(name, value, "a positive whole number is expected");
  return parsed;
}

function boolean(name: string, value: string): boolean {
  if (value === "true" || value === "false") return value === "true";
  throw refuse(name, value, "true or false is expected");
}

/** Names are compared without case, as the CSI driver does. @throws CLOUD_INVALID: names the parameter */
export function diskRequest(spec: Pick<VolumeSpec, "id" | "name" | "parameters">, gib: number): DiskRequest {
  const request: DiskRequest = { VolumeType: "gp3", Encrypted: true, tags: {} };
  const tags: Record<string, string> = {};
  let iopsPerGib: number | undefined;
  let mayRaise = false;
  for (const [name, value] of Object.entries(spec.parameters)) {
    const key = name.toLowerCase();
    if (key === "type") {
      if (!types.includes(value)) throw refuse(name, value, `the types are ${types.join(", ")}`);
      request.VolumeType = value as VolumeType; // One of those just listed.
    } else if (key === "iops") request.Iops = number(name, value);
    else if (key === "iopspergb") iopsPerGib = number(name, value);
    else if (key === "allowautoiopspergbincrease") mayRaise = boolean(name, value);
    else if (key === "throughput") request.Throughput = number(name, value);
    else if (key === "encrypted") request.Encrypted = boolean(name, value);
    else if (key === "kmskeyid") request.KmsKeyId = value;
    else if (key === "volumeinitializationrate") request.VolumeInitializationRate = number(name, value);
    else if (tagParameter.test(key)) Object.assign(tags, tagOf(name, value, spec));
    else if (!ofFileSystem.test(name)) throw refuse(name, value, "drover knows no such parameter");
  }
  request.tags = checkUserTags(tags);
  if (iopsPerGib !== undefined) request.Iops ??= iopsOf(request, iopsPerGib * gib, mayRaise);
  return checked(request);
}

function tagOf(name: string, value: string, spec: Pick<VolumeSpec, "id" | "name">): Tags {
  const [PVCNamespace = "", PVCName = ""] = spec.name.split("/");
  const known = new Map(Object.entries({ PVCNamespace, PVCName, PVName: spec.id }));
  const text = value.replace(placeholder, (_, expression: string) => {
    const found = known.get(expression.replace(/^\./, ""));
    if (found === undefined)
      throw refuse(name, value, `between braces stands one of .${[...known.keys()].join(", .")}`);
    return found;
  });
  const [key = "", ...rest] = text.split("=");
  if (key === "" || rest.length === 0) throw refuse(name, value, "key=value is expected");
  try {
    return checkUserTags({ [key]: rest.join("=") });
  } catch (error) {
    throw refuse(name, value, error instanceof Error ? error.message.replace(/\.$/, "") : String(error));
  }
}

function iopsOf({ VolumeType = "gp3" }: DiskRequest, wanted: number, mayRaise: boolean): number {
  const [least, most] = iopsRange[VolumeType] ?? [0, 0];
  if (wanted < least && !mayRaise)
    throw refuse(
      "iopsPerGB",
      String(wanted),
      `${VolumeType} has at least ${least} IOPS; set allowAutoIOPSPerGBIncrease`,
    );
  return Math.min(most, Math.max(least, wanted));
}

function checked(request: DiskRequest): DiskRequest {
  const { VolumeType = "gp3", Iops, Throughput, Encrypted, KmsKeyId } = request;
  const range = iopsRange[VolumeType];
  if (Iops !== undefined && !range) throw refuse("iops", String(Iops), `${VolumeType} takes none`);
  if (Iops !== undefined && range && (Iops < range[0] || Iops > range[1]))
    throw refuse("iops", String(Iops), `${VolumeType} has ${range[0]} to ${range[1]}`);
  if (Iops === undefined && (VolumeType === "io1" || VolumeType === "io2"))
    throw refuse("type", VolumeType, "it needs iops or iopsPerGB as well");
  if (Throughput !== undefined && VolumeType !== "gp3")
    throw refuse("throughput", String(Throughput), "only gp3 takes it");
  if (KmsKeyId !== undefined && !Encrypted) throw refuse("kmsKeyId", KmsKeyId, "encrypted is false");
  return request;
}
