import type { SecurityGroup } from "@aws-sdk/client-ec2";
import type { Clock } from "../../base/clock.ts";
import type { Send } from "./api.ts";
import { isKind } from "./errors.ts";
import { GroupCalls, groupName, isKept, roleOf } from "./group-calls.ts";
import { openingsIn, openingsOf, type Ports, portsRole, portsText, sshOpenings } from "./group-roles.ts";
import { compareRules, type Opening } from "./group-rules.ts";
import type { Networks } from "./network.ts";
import type { Tags } from "./tags.ts";

export type GroupOptions = {
  cluster: string;
  /** Networks that SSH is open to, in CIDR form. Default: none, for a road that needs no open port. */
  operatorCidrs?: readonly string[];
  /** Put back what somebody changed by hand. Default: it is only told. */
  repairDrift?: boolean;
  /** The user's own tags. */
  tags?: Tags;
};

export type SecurityGroups = {
  /** Groups of a machine that declares these ports: the cluster's, and one that opens them to the load balancers and to
   * the other machines of the VPC. */
  forMachine(ports: Ports): Promise<string[]>;
  /** The group that every load balancer of the cluster is in, beside one of its own: machines let it in. */
  forBalancers(): Promise<string>;
  /** One of them is not there: they are looked for again. */
  forget(): void;
  /** Compares all groups with what they should be, those of an earlier process too: one sentence a difference. */
  drift(signal?: AbortSignal): Promise<string[]>;
  /** Deletes groups of declared ports that no machine is in any more. */
  prune(signal?: AbortSignal): Promise<void>;
  /** Deletes all of them that are not somebody else's to end, waiting for what still uses them. */
  remove(signal?: AbortSignal): Promise<void>;
};

const deleteForMs = 600_000;
/** What was made or looked for so lately may still be shown as it was before. */
const settledAfterMs = 30_000;

type Wanted = { description: string; openings: readonly Opening[] };

export function openSecurityGroups(
  send: Send,
  clock: Clock,
  networks: Networks,
  options: GroupOptions,
): SecurityGroups {
  const { cluster, operatorCidrs = [], repairDrift = false, tags = {} } = options;
  const calls = new GroupCalls(send, clock, cluster, tags);
  const known = new Map<string, { id: Promise<string>; wanted: Promise<Wanted>; sinceMs: number }>();

  async function make(role: string, { description, openings }: Wanted): Promise<string> {
    const { vpcId } = await networks.find();
    const present = (await calls.list()).find((group) => roleOf(group) === role && group.VpcId === vpcId);
    const id = present?.GroupId ?? (await calls.create(role, vpcId, description));
    // Between its creation and its rules there may have been a crash; any other difference is somebody's wish.
    if ((present?.IpPermissions ?? []).length === 0) await calls.authorize(id, openings);
    return id;
  }

  function ensure(role: string, describe: () => Promise<Wanted>): Promise<string> {
    const present = known.get(role);
    if (present) return present.id;
    const wanted = describe();
    const id = wanted.then((each) => make(role, each));
    known.set(role, { id, wanted, sinceMs: clock.monotonicMs() });
    id.catch(() => known.delete(role));
    return id;
  }

  const forCluster = () =>
    ensure("machines", async () => ({
      description: `Machines of ${cluster}`,
      openings: sshOpenings(operatorCidrs),
    }));
  const forBalancers = () =>
    ensure("balancers", async () => ({ description: `Load balancers of ${cluster}`, openings: [] }));

  async function compare(role: string, groups: readonly SecurityGroup[]): Promise<string[]> {
    const { id, wanted, sinceMs = 0 } = known.get(role) ?? {};
    if (clock.monotonicMs() - sinceMs < settledAfterMs) return [];
    const groupId = await id;
    const group = groups.find(({ GroupId }) => GroupId === groupId);
    if (!group || !groupId) {
      known.delete(role);
      return [`The security group ${groupName(cluster, role)} (${groupId}) was deleted.`];
    }
    return differences(calls, group, (await wanted)?.openings ?? [], repairDrift);
  }

  return {
    forBalancers,
    forget: () => known.clear(),
    async forMachine(ports) {
      if (ports.length === 0) return [await forCluster()];
      const opened = ensure(portsRole(ports), async () => ({
        description: `Ports ${portsText(ports)} of machines of ${cluster}`.slice(0, 255),
        openings: openingsOf(ports, [await forBalancers(), ...(await networks.find()).cidrs]),
      }));
      return Promise.all([forCluster(), opened]);
    },
    async drift(signal) {
      const groups = await calls.list(signal);
      const told: string[] = [];
      for (const role of [...known.keys()]) told.push(...(await compare(role, groups)));
      for (const group of groups.filter((each) => !known.has(roleOf(each)))) {
        const openings = openingsIn(group, groups, await networks.find(), operatorCidrs);
        if (openings) told.push(...(await differences(calls, group, openings, repairDrift)));
      }
      return told;
    },
    async prune(signal) {
      for (const group of await calls.list(signal)) {
        if (!roleOf(group).startsWith("ports-") || known.has(roleOf(group))) continue;
        await calls.remove(group.GroupId ?? "", 0, signal).catch((error: unknown) => {
          if (!isKind(error, "busy")) throw error;
        });
      }
    },
    async remove(signal) {
      const groups = (await calls.list(signal)).filter((group) => !isKept(group));
      known.clear();
      // The group of the load balancers goes last: the others let it in.
      const last = groups.filter((group) => roleOf(group) === "balancers");
      const first = groups.filter((group) => !last.includes(group));
      await Promise.all(first.map(({ GroupId = "" }) => calls.remove(GroupId, deleteForMs, signal)));
      for (const { GroupId = "" } of last) await calls.remove(GroupId, deleteForMs, signal);
    },
  };
}

/** One sentence a difference; closed and opened again where the user wants it. */
async function differences(
  calls: GroupCalls,
  { GroupId = "", GroupName, IpPermissions = [] }: SecurityGroup,
  openings: readonly Opening[],
  repairDrift: boolean,
): Promise<string[]> {
  const { missing, extra, texts } = compareRules(openings, IpPermissions);
  if (repairDrift) {
    await calls.authorize(GroupId, missing);
    await calls.revoke(GroupId, extra);
  }
  const done = repairDrift ? "drover has put it back" : "`drover serve --repair-drift` puts it back";
  return texts.map((text) => `The security group ${GroupName} (${GroupId}) ${text}: ${done}.`);
}
