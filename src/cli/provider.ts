import { join } from "node:path";
import type { Logger } from "pino";
import { type Clock, fasterClock } from "../base/clock.ts";
import { seededRandom, systemRandom } from "../base/random.ts";
import type { AwsCloud } from "../clouds/aws/cloud.ts";
import type { Boxes } from "../clouds/box.ts";
import type { Cloud } from "../clouds/cloud.ts";
import { openLocalCloud } from "../clouds/local/cloud.ts";
import { openSimCloud } from "../clouds/sim/open.ts";
import { type ImagePlatforms, openImagePlatforms } from "../machines/image-platforms.ts";
import { type ApiRoad, sshBoxes } from "../machines/ssh/boxes.ts";
import { openKnownHosts } from "../machines/ssh/known-hosts.ts";
import { type AwsFlags, reachOf } from "./aws-flags.ts";
import type { CloudName, ClusterPaths } from "./home.ts";

export type ProviderOptions = {
  paths: ClusterPaths;
  cloud: CloudName;
  /** How fast simulated time passes. */
  speed: number;
  /** Boot every machine instead of cloning a saved one (local). */
  cold: boolean;
  aws: AwsFlags;
  clock: Clock;
  log: Logger;
  /** The provider accepts the credentials again: what failed meanwhile may be tried at once. */
  onResume?: () => void;
};

export type Provider = {
  cloud: Cloud;
  boxes: Boxes & Partial<ApiRoad>;
  /** What machines are made of where the Pod says nothing. */
  imageReference?: string;
  /** Machines let in what comes to a port that a container declares, and nothing else. */
  declaredPortsOnly?: boolean;
  /** What container images are made for, where there are machines of several architectures. */
  platformsOf?: ImagePlatforms;
};

/** The machines' provider and the way into them. */
export async function openProvider(options: ProviderOptions, privateKey: string): Promise<Provider> {
  const { paths, clock, log, cold, speed } = options;
  if (options.cloud === "sim") {
    const file = join(paths.data, "sim.json");
    return openSimCloud({ clock: fasterClock(clock, speed), random: seededRandom(1), publish: true, file });
  }
  if (options.cloud === "aws") return openAws(options, privateKey);
  const { home, cluster } = paths;
  const cloud = await openLocalCloud({ home, cluster, clock, random: systemRandom, log, cold });
  const boxes = sshBoxes({ reach: cloud.reach, console: (id) => cloud.machines.console(id), privateKey, clock, log });
  return { cloud, boxes };
}

async function openAws(options: ProviderOptions, privateKey: string): Promise<Provider> {
  const { paths, aws, clock, log } = options;
  const { reach, ownAddress } = reachOf(aws);
  const cloud = await awsCloud(options);
  const boxes = sshBoxes({
    ...{ reach, ownAddress, privateKey, clock, log },
    wayOut: wayOut(aws),
    console: (id) => cloud.machines.console(id),
    hostKeys: openKnownHosts(join(paths.identity, "known-hosts")),
    acceptNewHostKeys: aws.hostKey === "accept-new",
  });
  const platformsOf = openImagePlatforms({
    clock,
    tell: (message) =>
      log.warn(`${message} Its machines are amd64 where the Pod does not say otherwise (kubernetes.io/arch).`),
  });
  return { cloud, boxes, imageReference: aws.image, declaredPortsOnly: true, platformsOf };
}

/** What to look at where machines can't be reached. */
function wayOut({ proxyCommand, operatorCidr }: AwsFlags): string {
  if (proxyCommand !== undefined) return "the way is --proxy-command's";
  if (operatorCidr.length === 0)
    return "SSH is opened to nobody: --operator-cidr says to whom, or --proxy-command another way";
  return `SSH is opened to ${operatorCidr.join(", ")} (--operator-cidr); --proxy-command says another way`;
}

/** AWS as the flags say. @throws CLOUD_INVALID: no region is set anywhere; CLOUD_AUTH */
export async function awsCloud({
  paths,
  aws,
  clock,
  log,
  onResume,
}: Omit<ProviderOptions, "cloud" | "speed" | "cold">): Promise<AwsCloud> {
  const { region, profile, vpc, subnets, operatorCidr, domain, createZone, tag, repairDrift } = aws;
  const { publicAddresses } = reachOf(aws);
  // Loaded for those who use it: the SDK takes longer to load than everything else of drover.
  const { openClients } = await import("../clouds/aws/clients.ts");
  const { openAwsCloud } = await import("../clouds/aws/cloud.ts");
  const real = openClients({ ...(region !== undefined && { region }), ...(profile !== undefined && { profile }) });
  return openAwsCloud({
    clients: real.clients,
    clock,
    cluster: paths.cluster,
    region: await real.region(),
    domain,
    createZone,
    ...(vpc !== undefined && { vpcId: vpc }),
    ...(subnets !== undefined && { subnetIds: subnets }),
    operatorCidrs: operatorCidr,
    ...(publicAddresses !== undefined && { publicAddresses }),
    repairDrift,
    tags: tag,
    cacheDir: join(paths.home, "aws"),
    onWarning: (message) => log.warn(message),
    onResume: () => {
      log.info("AWS accepts the credentials again; drover goes on.");
      onResume?.();
    },
    refresh: real.refresh,
    release: real.close,
  });
}
