import { isIPv4 } from "node:net";
import { type Command, InvalidArgumentError, Option } from "commander";
import { DroverError } from "../base/errors.ts";
import type { Reach } from "../machines/ssh/reach.ts";

/** What the commands can be told of AWS; everything else is found as every AWS tool finds it. */
export type AwsFlags = {
  region?: string;
  profile?: string;
  vpc?: string;
  subnets?: string[];
  operatorCidr: string[];
  reach?: "public" | "private";
  proxyCommand?: string;
  hostKey: "console" | "accept-new";
  domain: string;
  createZone: boolean;
  image: string;
  tag: Record<string, string>;
  repairDrift: boolean;
};

function list(text: string): string[] {
  const words = text.split(",").flatMap((word) => word.trim() || []);
  if (words.length > 0) return words;
  throw new InvalidArgumentError("ids are expected, separated by commas.");
}

function cidrs(text: string, before: string[]): string[] {
  const [, address = "", bits = ""] = /^([^/]+)\/(\d{1,2})$/.exec(text) ?? [];
  if (isIPv4(address) && bits !== "" && Number(bits) <= 32) return [...before, text];
  throw new InvalidArgumentError("an IPv4 network as 203.0.113.7/32 is expected.");
}

function tags(text: string, before: Record<string, string>): Record<string, string> {
  const [key = "", ...value] = text.split("=");
  if (key !== "" && value.length > 0) return { ...before, [key]: value.join("=") };
  throw new InvalidArgumentError("KEY=VALUE is expected.");
}

/** Adds the options that `--cloud aws` has. */
export const withAwsFlags = (command: Command): Command =>
  command
    .option("--region <name>", "AWS region; by default that of the profile or AWS_REGION (--cloud aws)")
    .option("--profile <name>", "profile in ~/.aws; by default AWS_PROFILE (--cloud aws)")
    .option("--vpc <id>", "by default the one tagged drover.dev/cluster, else the account's default VPC (--cloud aws)")
    .option(
      "--subnets <ids>",
      "subnets for machines, separated by commas; by default all of the VPC (--cloud aws)",
      list,
    )
    .option(
      "--operator-cidr <cidr>",
      "network that may open SSH to the machines; may be repeated (--cloud aws)",
      cidrs,
      [],
    )
    .addOption(
      new Option(
        "--reach <how>",
        "the address by which drover reaches machines; by default public, with --proxy-command private (--cloud aws)",
      ).choices(["public", "private"]),
    )
    .option(
      "--proxy-command <command>",
      "program that is the way to a machine's SSH port: %h address, %p port, %i instance (--cloud aws)",
    )
    .addOption(
      new Option("--host-key <how>", "how a machine's SSH host key becomes known (--cloud aws)")
        .choices(["console", "accept-new"])
        .default("console"),
    )
    .option(
      "--domain <name>",
      "what the names of Services end with; a private hosted zone (--cloud aws)",
      "cluster.local",
    )
    .option("--create-zone", "make the private hosted zone where the VPC has none (--cloud aws)", false)
    .option(
      "--image <reference>",
      "machine image: debian-12, ubuntu-24.04, al2023, ami-…, ssm:/path, name:pattern@owner (--cloud aws)",
      "debian-12",
    )
    .option("--tag <key=value>", "tag on everything that is made; may be repeated (--cloud aws)", tags, {})
    .option("--repair-drift", "put back what somebody has changed by hand (--cloud aws)", false);

/** What says how machines and networks are made, and how machines are got into. */
const ofMaking: readonly (keyof AwsFlags)[] = [
  "operatorCidr",
  "reach",
  "proxyCommand",
  "hostKey",
  "createZone",
  "image",
  "tag",
  "repairDrift",
];

/**
 * The same for commands that make nothing: they take every word that `drover serve` takes, so that the same words will
 * do, and show those that say where to look.
 */
export function withAwsPlaceFlags(command: Command): Command {
  withAwsFlags(command);
  for (const option of command.options) if (ofMaking.some((flag) => flag === option.attributeName())) option.hideHelp();
  return command;
}

/**
 * The way to the machines, and to which of their addresses. `publicAddresses`: whether they get one; absent: as their
 * subnet does. @throws USAGE: an empty program
 */
export function reachOf({ proxyCommand, reach }: Pick<AwsFlags, "proxyCommand" | "reach">): {
  reach: Reach;
  ownAddress: boolean;
  publicAddresses?: boolean;
} {
  if (proxyCommand !== undefined && proxyCommand.trim() === "")
    throw new DroverError("USAGE", "--proxy-command is empty; leave it out or name a program.");
  const said = reach && { publicAddresses: reach === "public" };
  if (proxyCommand === undefined)
    return { reach: { kind: "tcp" }, ownAddress: reach === "private", ...(said ?? { publicAddresses: true }) };
  // A bastion or an endpoint is in the VPC, where security groups know machines by their own addresses.
  return { reach: { kind: "command", command: proxyCommand }, ownAddress: reach !== "public", ...said };
}
