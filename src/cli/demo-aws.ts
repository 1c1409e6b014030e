import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import type { KubeObject } from "../api/object.ts";
import type { Deployment, Pod } from "../api/types.gen.ts";
import { systemClock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import type { Inventory } from "../clouds/aws/charges.ts";
import type { AwsCloud } from "../clouds/aws/cloud.ts";
import { grouping } from "../controllers/selection.ts";
import { machineTemplate } from "../machines/template.ts";
import { agree } from "./agree.ts";
import { type AwsFlags, reachOf, withAwsFlags } from "./aws-flags.ts";
import { downAws } from "./down.ts";
import type { ClusterPaths } from "./home.ts";
import { openLog } from "./log.ts";
import { ownAddress } from "./own-address.ts";
import { columns, type Terminal } from "./print.ts";
import { awsCloud } from "./provider.ts";

/** A public image that AWS serves without a login, and the one that is rolled to. */
export const awsImages = { first: "public.ecr.aws/nginx/nginx:1.28", next: "public.ecr.aws/nginx/nginx:1.29" };
const gib = 2 ** 30;

/** The manifest's objects with an image that machines in the cloud can pull. */
export const withImage = (objects: readonly KubeObject[], image: string): KubeObject[] =>
  objects.map((object) => {
    if (object.kind !== "Deployment") return object;
    const { spec } = object as Deployment;
    const containers = (spec.template?.spec?.containers ?? []).map((each) => ({ ...each, image }));
    const template = { ...spec.template, spec: { ...spec.template?.spec, containers } };
    return { ...object, spec: { ...spec, template } } as KubeObject;
  });

type AtAws = { paths: ClusterPaths; aws: AwsFlags };

/** Says what the demonstration costs an hour while it stands, and goes on only with the user's yes. */
export async function agreeOnCost(
  io: Terminal,
  { paths, aws, objects, yes }: AtAws & { objects: readonly KubeObject[]; yes: boolean },
): Promise<void> {
  const { costPerHour } = await import("../clouds/aws/charges.ts");
  const log = openLog("error");
  const cloud = await awsCloud({ paths, aws, clock: systemClock, log });
  try {
    const { usdPerHour, lines } = costPerHour(await inventory(cloud, aws, objects));
    const rows = lines.map((line) => [`${line.count}`, line.what, `$${line.usdPerHour.toFixed(4)}/h`]);
    io.say(io.strong(`In ${cloud.region} this makes, by list prices:`));
    for (const line of columns([...rows, ["", "together", `$${usdPerHour.toFixed(4)}/h`]])) io.say(line);
    io.say("During the rolling update there is one machine more. What ends all of it: npm start -- --cleanup");
  } finally {
    await cloud.close();
  }
  await agree(io, "Make this at AWS?", yes, "Nothing was made.");
}

/** What the objects become at AWS. @throws CLOUD_CAPACITY: no instance type fits; CLOUD_INVALID: no such machine image */
async function inventory(
  { machines, network }: Pick<AwsCloud, "machines" | "network">,
  aws: AwsFlags,
  objects: readonly KubeObject[],
): Promise<Inventory> {
  const [deployment] = objects.filter(({ kind }) => kind === "Deployment") as Deployment[];
  const { replicas: count = 1, template: described } = deployment?.spec ?? {};
  const metadata = { ...described?.metadata, name: "web" };
  const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata, spec: described?.spec ?? { containers: [] } };
  // A machine image by its id may be made for arm64.
  const image = await machines.image(aws.image, "amd64").catch(() => machines.image(aws.image, "arm64"));
  const template = machineTemplate(pod, { authorizedKey: "", image });
  const { cheapest } = grouping(await machines.offers(), [])({ pod, owner: "", template });
  if (!cheapest) {
    throw new DroverError("CLOUD_CAPACITY", "No instance type of this region fits the demonstration's Pods.");
  }
  const { type, priceUsdPerHour } = cheapest.offer;
  const sizeGib = Math.ceil(Math.max(template.diskBytes, image.diskBytesMin) / gib);
  const zones = new Set((await network()).subnets.map(({ zone }) => zone)).size;
  return {
    machines: [{ type, count, usdPerHour: priceUsdPerHour }],
    volumes: Array.from({ length: count }, () => ({ sizeGib })),
    publicAddresses: (reachOf(aws).publicAddresses === false ? 0 : count) + zones,
    networkBalancers: 1,
    applicationBalancers: 0,
    privateZones: aws.createZone ? 1 : 0,
  };
}

/** What the server is told beside `words`: this computer's own network may open SSH, where nobody said who may. */
export async function operatorFlags({ reach, proxyCommand, operatorCidr }: AwsFlags, io: Terminal): Promise<string[]> {
  if (reach === "private" || proxyCommand !== undefined || operatorCidr.length > 0) return [];
  const address = await ownAddress();
  io.say(`SSH to the machines is opened to ${address}, this computer's address; --operator-cidr says another.`);
  return ["--operator-cidr", `${address}/32`];
}

const wordsFile = ({ folder }: ClusterPaths): string => join(folder, "demo-flags.json");

/** Notes how AWS was reached, so that the clean-up goes to the same account and region. */
export function rememberFlags(paths: ClusterPaths, words: readonly string[]): void {
  mkdirSync(paths.folder, { recursive: true, mode: 0o700 });
  writeFileSync(wordsFile(paths), `${JSON.stringify(words)}\n`, { mode: 0o600 });
}

/** Ends the demonstration's cluster at AWS and its files. `words`: flags of this clean-up, which go before the noted ones. */
export async function cleanUpAws(paths: ClusterPaths, words: readonly string[], io: Terminal): Promise<void> {
  const flags = withAwsFlags(new Command()).allowUnknownOption().allowExcessArguments();
  flags.parse([...notedFlags(paths), ...words], { from: "user" });
  await downAws({ ...flags.opts<AwsFlags>(), keepVolumes: false, yes: true }, paths, io);
}

function notedFlags(paths: ClusterPaths): string[] {
  try {
    return JSON.parse(readFileSync(wordsFile(paths), "utf8"));
  } catch {
    return []; // It ended before it was noted.
  }
}
