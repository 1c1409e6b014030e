import type { Clock } from "../../base/clock.ts";
import type { Cloud } from "../cloud.ts";
import type { AwsClients, Send } from "./api.ts";
import { openAwsBalancers } from "./balancers.ts";
import { openSend } from "./call.ts";
import { findMadeZone, removeZone } from "./hosted-zone.ts";
import { openImages } from "./images.ts";
import { openLaunchTemplates } from "./launch-template.ts";
import { openMachines } from "./machines.ts";
import { openAwsNames } from "./names.ts";
import { type Network, openNetworks, zoneIdsOf, zonesOf } from "./network.ts";
import { openOffers } from "./offers.ts";
import { openSecurityGroups } from "./security-groups.ts";
import { checkUserTags, type Tags } from "./tags.ts";
import { openTroubles } from "./troubles.ts";
import { openAwsVolumes } from "./volumes.ts";

export type AwsCloudOptions = {
  clients: AwsClients;
  clock: Clock;
  cluster: string;
  /** `eu-central-1`: where the clients are. */
  region: string;
  /** What names inside the machines end with. Default: `cluster.local`. */
  domain?: string;
  /** Make the private hosted zone of the domain when the VPC has none. Default: no. */
  createZone?: boolean;
  vpcId?: string;
  subnetIds?: readonly string[];
  /** Networks that SSH is open to, in CIDR form. Default: none. */
  operatorCidrs?: readonly string[];
  /** Whether machines get a public IPv4 address. Default: as their subnet does. */
  publicAddresses?: boolean;
  /** Put back what somebody changed by hand. Default: it is only told. */
  repairDrift?: boolean;
  /** The user's own tags on everything. */
  tags?: Tags;
  /** How many times AWS' default request rates the account may use. Default: 1. */
  rateFactor?: number;
  /** A folder for what was asked of AWS and changes seldom. */
  cacheDir?: string;
  /** Told in one sentence what is wrong and what drover does meanwhile: once when the credentials expire, once when
   * machines can't be listed any more. */
  onWarning: (message: string) => void;
  /** Told once when AWS accepts the credentials again: everything that failed meanwhile may be tried at once. */
  onResume?: () => void;
  /** Forgets the credentials, so that those of a new login are found: `refresh` of the real clients. */
  refresh?: () => void;
  /** Lets go of the clients. */
  release?: () => void;
};

/** What AWS can do beside the ports. */
export type AwsCloud = Cloud & {
  region: string;
  send: Send;
  network(): Promise<Network>;
  /** The private zone that drover has made for the cluster, if there is one. */
  madeZone(signal?: AbortSignal): Promise<string | undefined>;
  /** Deletes a private zone after its names. @returns false: it stays, with records that are not drover's */
  removeZone(id: string, signal?: AbortSignal): Promise<boolean>;
  /** Deletes launch templates and security groups, after the machines and balancers have been ended. */
  removeRest(signal?: AbortSignal): Promise<void>;
};

/** Resolvers have this address in every VPC. */
const resolver = "169.254.169.253";

/** The cloud `aws`. It makes no call before it is asked for something. @throws CLOUD_INVALID: a tag that can't be set */
export function openAwsCloud(options: AwsCloudOptions): AwsCloud {
  const { clients, clock, cluster, region, onWarning, onResume, refresh } = options;
  const tags = checkUserTags(options.tags ?? {});
  const { vpcId, subnetIds, publicAddresses, cacheDir, rateFactor } = options;
  const troubles = openTroubles(clock);
  const send = openSend(clients, clock, {
    onPause: (message) => onWarning(`${message} Nothing is launched or ended until then; what serves goes on.`),
    onResume() {
      troubles.loggedIn();
      onResume?.();
    },
    ...(refresh && { refresh }),
    ...(rateFactor !== undefined && { rateFactor }),
    onFailure: troubles.note,
  });
  const networks = openNetworks(send, clock, {
    cluster,
    ...(vpcId !== undefined && { vpcId }),
    ...(subnetIds !== undefined && { subnetIds }),
  });
  const repairDrift = options.repairDrift ?? false;
  const operatorCidrs = options.operatorCidrs ?? [];
  const groups = openSecurityGroups(send, clock, networks, { cluster, operatorCidrs, repairDrift, tags });
  const templates = openLaunchTemplates(send, clock, cluster, tags);
  const { machines, poller } = openMachines({
    ...{ send, clock, cluster, networks, groups, templates, tags, onWarning },
    images: openImages(send, clock),
    ...(publicAddresses !== undefined && { publicAddresses }),
    offers: openOffers({
      ...{ send, clock, region, tell: onWarning },
      zones: async () => zonesOf(await networks.find()),
      zoneIds: async () => zoneIdsOf(await networks.find()),
      running: () => poller.known().filter(({ state }) => state !== "gone"),
      ...(cacheDir !== undefined && { cacheDir }),
    }),
  });
  const log = { warn: onWarning };
  const zone = { send, clock, cluster, region, networks, tags, domain: options.domain ?? "cluster.local" };
  return {
    machines,
    balancers: openAwsBalancers({ send, clock, cluster, networks, securityGroups: groups, repairDrift, tags, log }),
    volumes: openAwsVolumes(send, cluster, tags),
    names: openAwsNames({ ...zone, createZone: options.createZone ?? false }),
    surroundings: async () => ({ nameservers: [resolver], namesOnly: true }),
    close: async () => options.release?.(),
    region,
    send,
    network: networks.find,
    drift: groups.drift,
    redirects: groups.redirects,
    troubles: troubles.list,
    madeZone: (signal) => findMadeZone(zone, signal),
    removeZone: (id, signal) => removeZone(send, id, signal),
    async removeRest(signal) {
      await templates.remove(signal);
      await groups.remove(signal);
    },
  };
}
