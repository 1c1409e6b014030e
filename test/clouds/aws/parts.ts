import { seededRandom, uuid } from "../../../src/base/random.ts";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { openImages } from "../../../src/clouds/aws/images.ts";
import { openLaunchTemplates } from "../../../src/clouds/aws/launch-template.ts";
import { openMachines } from "../../../src/clouds/aws/machines.ts";
import { type NetworkOptions, openNetworks } from "../../../src/clouds/aws/network.ts";
import { type GroupOptions, openSecurityGroups } from "../../../src/clouds/aws/security-groups.ts";
import type { Launch, MachineTemplate } from "../../../src/clouds/cloud.ts";
import type { openFake } from "../sim/aws/setup.ts";

export type Fake = ReturnType<typeof openFake>;

const cluster = "c";

/** drover's side of a fake of AWS: what one process has. Several may be opened over one fake. */
export function openParts(
  fake: Fake,
  options: { network?: Partial<NetworkOptions>; groups?: Partial<GroupOptions>; publicAddresses?: boolean } = {},
) {
  const { clock, connect } = fake;
  const send = openSend(connect(), clock);
  const warnings: string[] = [];
  const networks = openNetworks(send, clock, { cluster, ...options.network });
  const groups = openSecurityGroups(send, clock, networks, { cluster, ...options.groups });
  const templates = openLaunchTemplates(send, clock, cluster);
  const images = openImages(send, clock);
  const { publicAddresses } = options;
  const machineParts = { send, clock, cluster, networks, groups, templates, images };
  const { machines, poller } = openMachines({
    ...machineParts,
    ...(publicAddresses !== undefined && { publicAddresses }),
    offers: async () => [],
    onWarning: (message) => warnings.push(message),
  });
  return { ...machineParts, machines, poller, warnings };
}

const template: MachineTemplate = {
  hash: "0123456789abcdef",
  image: "debian-12",
  userData: "#cloud-config\nruncmd: []\n",
  architecture: "amd64",
  cpuMillis: 1_000,
  memoryBytes: 2 ** 30,
  diskBytes: 20 * 2 ** 30,
  prefetch: [],
};

/** A launch of `count` Pods of a Deployment called web. */
export function launchOf(
  id: string,
  count: number,
  { template: more, ...given }: Partial<Omit<Launch, "template">> & { template?: Partial<MachineTemplate> } = {},
): Launch {
  const random = seededRandom([...id].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7));
  return {
    id,
    cluster,
    template: { ...template, ...more },
    placement: { type: "t3.micro", zone: "us-east-1a", capacityType: "on-demand" },
    slots: Array.from({ length: count }, () => uuid(random)),
    owner: { namespace: "default", kind: "Deployment", name: "web" },
    names: Array.from({ length: count }, (_, index) => `web-5d4-${String(index).padStart(5, "b")}`),
    ...given,
  };
}

/** Inputs of the calls of an action that reached AWS, in order. */
export const inputsOf = ({ world }: Fake, action: string): Readonly<Record<string, unknown>>[] =>
  world.writes.filter((write) => write.action === action).map(({ input }) => input);
