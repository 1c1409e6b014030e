import type { SecurityGroup } from "@aws-sdk/client-ec2";
import type { Clock } from "../../base/clock.ts";
import type { Send } from "./api.ts";
import { isKind } from "./errors.ts";
import { appliedIn, GroupCalls, groupName, isApplied, isKept, roleOf } from "./group-calls.ts";
import { deletedGroup, differences, settledAfterMs } from "./group-drift.ts";
import { RedirectGroup } from "./group-redirects.ts";
import { openingsOf, type Ports, planOrder, portsRole, portsText, sshFor, type Wish, wishFor } from "./group-roles.ts";
import { permissionsOf } from "./group-rules.ts";
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
  /** Groups of a machine that declares these ports: the cluster's, one that opens them to the load balancers and to the
   * other machines of the VPC, and one for ports that machines redirect. */
  forMachine(ports: Ports): Promise<string[]>;
  /** Machines redirect these ports, which they need not declare: all of them are open to the VPC. No others are any more.
   * @throws CLOUD_INVALID: more than a group's rules */
  redirects(ports: Ports, signal?: AbortSignal): Promise<void>;
  /** The group that every load balancer of the cluster is in, beside one of its own: machines let it in. */
  forBalancers(): Promise<string>;
  /** One of them is not there: they are looked for again. */
  forget(): void;
  /**
   * Compares all groups with what they should be, those of an earlier process too: one sentence a difference. What was
   * wished otherwise when drover last carried it out is carried out; in the first half minute there is nothing else.
   */
  drift(signal?: AbortSignal): Promise<string[]>;
  /** Deletes groups of declared ports that no machine is in any more. */
  prune(signal?: AbortSignal): Promise<void>;
  /** Deletes all of them that are not somebody else's to end, waiting for what still uses them. */
  remove(signal?: AbortSignal): Promise<void>;
};

const deleteForMs = 600_000;

const nothing: Wish = { ports: [], sources: [] };
type Wanted = Wish & { description: string };

export function openSecurityGroups(
  send: Send,
  clock: Clock,
  networks: Networks,
  options: GroupOptions,
): SecurityGroups {
  const { cluster, operatorCidrs = [], repairDrift = false, tags = {} } = options;
  const calls = new GroupCalls(send, clock, cluster, tags);
  const redirects = new RedirectGroup(calls, clock, networks, cluster);
  const known = new Map<string, { id: Promise<string>; wanted: Promise<Wanted>; sinceMs: number }>();
  const openedMs = clock.monotonicMs();
  const isYoung = (sinceMs: number): boolean => clock.monotonicMs() - sinceMs < settledAfterMs;

  async function make(role: string, wanted: Wanted): Promise<string> {
    const { vpcId } = await networks.find();
    const present = (await calls.list()).find((group) => roleOf(group) === role && group.VpcId === vpcId);
    if (present?.GroupId) {
      await carryOut(calls, present, wanted);
      return present.GroupId;
    }
    const id = await calls.create(role, vpcId, wanted.description, wanted.sources);
    await calls.authorize(id, openingsOf(wanted));
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
    ensure("machines", async () => ({ description: `Machines of ${cluster}`, ...sshFor(operatorCidrs) }));
  const forBalancers = () =>
    ensure("balancers", async () => ({ description: `Load balancers of ${cluster}`, ...nothing }));

  async function compare(role: string, groups: readonly SecurityGroup[]): Promise<string[]> {
    const { id, wanted, sinceMs = 0 } = known.get(role) ?? {};
    if (isYoung(sinceMs)) return [];
    const groupId = await id;
    const group = groups.find(({ GroupId }) => GroupId === groupId);
    if (!group || !groupId) {
      known.delete(role);
      return [deletedGroup(groupName(cluster, role), groupId)];
    }
    return differences(calls, group, openingsOf((await wanted) ?? nothing), repairDrift);
  }

  return {
    forBalancers,
    redirects: (ports, signal) => redirects.open(ports, signal),
    forget() {
      known.clear();
      redirects.forget();
    },
    async forMachine(ports) {
      if (ports.length === 0) return Promise.all([forCluster(), redirects.id()]);
      const opened = ensure(portsRole(ports), async () => ({
        description: `Ports ${portsText(ports)} of machines of ${cluster}`.slice(0, 255),
        ports,
        sources: [await forBalancers(), ...(await networks.find()).cidrs],
      }));
      return Promise.all([forCluster(), opened, redirects.id()]);
    },
    async drift(signal) {
      const groups = await calls.list(signal);
      const told: string[] = [];
      for (const role of [...known.keys()]) told.push(...(await compare(role, groups)));
      for (const group of groups.filter((each) => !known.has(roleOf(each)))) {
        const wish = wishFor(group, groups, await networks.find(), operatorCidrs);
        if (wish && isOrder(group, wish)) await carryOut(calls, group, wish);
        else if (wish && !isYoung(openedMs))
          told.push(...(await differences(calls, group, openingsOf(wish), repairDrift)));
      }
      told.push(...(await redirects.drift(groups, repairDrift)));
      return told;
    },
    prune: (signal) => prune(calls, (role) => known.has(role), signal),
    async remove(signal) {
      known.clear();
      redirects.forget();
      await removeAll(calls, signal);
    },
  };
}

async function prune(calls: GroupCalls, isKnown: (role: string) => boolean, signal?: AbortSignal): Promise<void> {
  for (const group of await calls.list(signal)) {
    if (!roleOf(group).startsWith("ports-") || isKnown(roleOf(group))) continue;
    await calls.remove(group.GroupId ?? "", 0, signal).catch((error: unknown) => {
      if (!isKind(error, "busy")) throw error;
    });
  }
}

async function removeAll(calls: GroupCalls, signal: AbortSignal | undefined): Promise<void> {
  const groups = (await calls.list(signal)).filter((group) => !isKept(group));
  // The group of the load balancers goes last: the others let it in.
  const last = groups.filter((group) => roleOf(group) === "balancers");
  const first = groups.filter((group) => !last.includes(group));
  await Promise.all(first.map(({ GroupId = "" }) => calls.remove(GroupId, deleteForMs, signal)));
  for (const { GroupId = "" } of last) await calls.remove(GroupId, deleteForMs, signal);
}

/** Another wish than the one that drover last carried out; who keeps a group sees to its rules himself. */
const isOrder = (group: SecurityGroup, { sources }: Wish): boolean => !isKept(group) && !isApplied(group, sources);

/** The note comes last: after a crash before it the same is done again. */
async function carryOut(calls: GroupCalls, group: SecurityGroup, wish: Wish): Promise<void> {
  const { GroupId = "", IpPermissions = [] } = group;
  const before = (isKept(group) ? undefined : appliedIn(group)) ?? wish.sources;
  const { open, close } = planOrder(wish, before, IpPermissions);
  await calls.authorize(GroupId, open);
  await calls.revoke(GroupId, permissionsOf(close));
  if (isOrder(group, wish)) await calls.note(group, wish.sources);
}
