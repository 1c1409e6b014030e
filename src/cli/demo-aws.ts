import { pino } from "pino";
import type { KubeObject } from "../api/object.ts";
import type { Deployment } from "../api/types.gen.ts";
import { systemClock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import type { Offer } from "../clouds/cloud.ts";
import { machineSize } from "../machines/sizing.ts";
import { agree } from "./agree.ts";
import type { AwsFlags } from "./aws-flags.ts";
import type { ClusterPaths } from "./home.ts";
import { columns, type Terminal } from "./print.ts";
import { awsCloud } from "./provider.ts";

/** A public image that AWS serves without a login, and the one that is rolled to. */
export const awsImages = { first: "public.ecr.aws/nginx/nginx:1.28", next: "public.ecr.aws/nginx/nginx:1.29" };
const rootGib = 8;

/** The manifest's objects with an image that machines in the cloud can pull. */
export const withImage = (objects: readonly KubeObject[], image: string): KubeObject[] =>
  objects.map((object) => {
    if (object.kind !== "Deployment") return object;
    const { spec } = object as Deployment;
    const containers = (spec.template?.spec?.containers ?? []).map((each) => ({ ...each, image }));
    const template = { ...spec.template, spec: { ...spec.template?.spec, containers } };
    return { ...object, spec: { ...spec, template } } as KubeObject;
  });

/** Says what the demonstration costs an hour while it stands, and goes on only with the user's yes. */
export async function agreeOnCost(
  io: Terminal,
  { paths, aws, objects, yes }: { paths: ClusterPaths; aws: AwsFlags; objects: readonly KubeObject[]; yes: boolean },
): Promise<void> {
  const { costPerHour } = await import("../clouds/aws/charges.ts");
  const log = pino({ level: "error", base: null }, pino.destination({ dest: 2, sync: true }));
  const cloud = await awsCloud({ paths, aws, clock: systemClock, log });
  try {
    const [deployment] = objects.filter(({ kind }) => kind === "Deployment") as Deployment[];
    const { replicas: count = 1, template } = deployment?.spec ?? {};
    const offer = cheapest(await cloud.machines.offers(), machineSize(template?.spec ?? { containers: [] }));
    const zones = new Set((await cloud.network()).subnets.map(({ zone }) => zone)).size;
    const { usdPerHour, lines } = costPerHour({
      machines: [{ type: offer.type, count, usdPerHour: offer.priceUsdPerHour }],
      volumes: Array.from({ length: count }, () => ({ sizeGib: rootGib })),
      publicAddresses: (aws.reach === "public" ? count : 0) + zones,
      networkBalancers: 1,
      applicationBalancers: 0,
      privateZones: aws.createZone ? 1 : 0,
    });
    const rows = lines.map((line) => [`${line.count}`, line.what, `$${line.usdPerHour.toFixed(4)}/h`]);
    for (const line of columns([...rows, ["", "together", `$${usdPerHour.toFixed(4)}/h`]])) io.out(line);
    const end = `npx drover down --cloud aws --cluster ${paths.cluster}`;
    io.say(`During the rolling update there is one machine more. What ends all of it: ${end}`);
  } finally {
    await cloud.close();
  }
  await agree(io, "Make this at AWS?", yes, "Nothing was made.");
}

function cheapest(offers: readonly Offer[], size: { cpuMillis: number; memoryBytes: number }): Offer {
  const able = offers.filter(
    (offer) =>
      offer.architecture === "amd64" &&
      offer.capacityType === "on-demand" &&
      offer.cpuMillis >= size.cpuMillis &&
      offer.memoryBytes >= size.memoryBytes,
  );
  const [first] = able.sort((a, b) => a.priceUsdPerHour - b.priceUsdPerHour);
  if (!first) throw new DroverError("CLOUD_CAPACITY", "No instance type of this region fits the demonstration's Pods.");
  return first;
}
