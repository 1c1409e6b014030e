import type { SecurityGroup } from "@aws-sdk/client-ec2";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { isKind } from "./errors.ts";
import { appliedIn, type GroupCalls, groupName, isKept, roleOf } from "./group-calls.ts";
import { deletedGroup, differences, settledAfterMs } from "./group-drift.ts";
import { openingsOf, type Ports } from "./group-roles.ts";
import { type Opening, permissionsOf } from "./group-rules.ts";
import type { Networks } from "./network.ts";

const role = "redirects";
/** AWS' limit on the rules of a group. */
const rulesMax = 60;
/** Before a word of the note. */
const begunMark = "+";

/**
 * What drover itself opened, as words: `80/TCP@172.31.0.0/16`. The group's tag notes it, for the next process. `begun`:
 * was being opened or closed when it was noted, and nobody knows which of both it is now.
 */
type Noted = { done: readonly string[]; begun: readonly string[] };
type Seen = Noted & { group?: SecurityGroup };

const wordOf = ({ protocol, port, source }: Opening): string => `${port}/${protocol.toUpperCase()}@${source}`;
function openingIn(word: string): Opening {
  const [, port, protocol, source = ""] = /^(\d+)\/(TCP|UDP)@(.*)$/.exec(word) ?? [];
  return { protocol: protocol === "UDP" ? "udp" : "tcp", port: Number(port), source };
}

const textOf = ({ done, begun }: Noted): string[] => [...done, ...begun.map((word) => begunMark + word)];
function notedIn(group: SecurityGroup): Noted {
  const words = appliedIn(group) ?? [];
  return {
    done: words.filter((word) => !word.startsWith(begunMark)),
    begun: words.flatMap((word) => (word.startsWith(begunMark) ? word.slice(begunMark.length) : [])),
  };
}

/** What is noted as done and not there somebody closed by hand; what is there and not noted somebody opened. */
function planRedirects(wanted: readonly string[], { done, begun }: Noted) {
  return {
    open: wanted.filter((word) => !done.includes(word)),
    close: [...done, ...begun].filter((word) => !wanted.includes(word)),
  };
}

function checkRules(wanted: readonly string[], ports: Ports, cidrs: readonly string[]): void {
  if (wanted.length <= rulesMax) return;
  const many = `Machines redirect ${ports.length} ports of Services (node ports, and of those without a balancer)`;
  const networks = cidrs.length > 1 ? `, each for ${cidrs.length} networks of the VPC` : "";
  throw new DroverError(
    "CLOUD_INVALID",
    `${many}${networks}: a security group has room for ${rulesMax}. Give some of them the port of their Pods, or a ` +
      "balancer (drover.dev/balancer: own).",
  );
}

/** The group that lets in what comes from the VPC to ports that machines redirect. One thing is done at a time. */
export class RedirectGroup {
  readonly #calls: GroupCalls;
  readonly #clock: Clock;
  readonly #networks: Networks;
  readonly #cluster: string;
  #seen: Seen | undefined;
  /** What was last carried out; undefined: nobody has said yet what machines redirect. */
  #wished: Ports | undefined;
  /** It is carried out now. */
  #isOpen = false;
  #changedMs: number;
  #last: Promise<unknown> = Promise.resolve();

  constructor(calls: GroupCalls, clock: Clock, networks: Networks, cluster: string) {
    this.#calls = calls;
    this.#clock = clock;
    this.#networks = networks;
    this.#cluster = cluster;
    this.#changedMs = clock.monotonicMs();
  }

  /** Its id; made, with what it is to open, when there is none. */
  id(): Promise<string> {
    return this.#inTurn(async () => {
      if (this.#seen?.group) return this.#seen.group.GroupId ?? "";
      const found = await this.#look();
      const group = found.group ?? (await this.#make());
      this.#seen = { ...found, group };
      // A machine's launch does not depend on it: the next look at the Services repeats it, and says what is wrong.
      if (this.#wished) await this.#carryOut(this.#wished, this.#seen).catch(() => undefined);
      return group.GroupId ?? "";
    });
  }

  /** Has it open these to the VPC and nothing else; without any it is not made. @throws CLOUD_INVALID: too many rules */
  open(ports: Ports, signal?: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      try {
        this.#seen ??= await this.#look(signal);
        await this.#carryOut(ports, this.#seen);
        this.#wished = ports;
      } catch (error) {
        if (isKind(error, "absent")) this.forget();
        throw error;
      }
    });
  }

  /** It is looked for again. */
  forget(): void {
    this.#seen = undefined;
  }

  /** What somebody changed, of the groups as they were just seen; nothing before it is known what it is to open. */
  drift(groups: readonly SecurityGroup[], repairDrift: boolean): Promise<string[]> {
    return this.#inTurn(async () => {
      const { group: known, done = [], begun = [] } = this.#seen ?? {};
      const isSettled = begun.length === 0 && this.#clock.monotonicMs() - this.#changedMs >= settledAfterMs;
      if (!known || !this.#isOpen || !isSettled) return [];
      const group = groups.find(({ GroupId }) => GroupId === known.GroupId);
      if (group) return differences(this.#calls, group, done.map(openingIn), repairDrift);
      this.forget();
      return [deletedGroup(groupName(this.#cluster, role), known.GroupId)];
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #look(signal?: AbortSignal): Promise<Seen> {
    const nothing = { done: [], begun: [] };
    const groups = (await this.#calls.list(signal)).filter((each) => roleOf(each) === role);
    if (groups.length === 0) return nothing;
    const { vpcId } = await this.#networks.find();
    const group = groups.find(({ VpcId }) => VpcId === vpcId);
    return group ? { group, ...notedIn(group) } : nothing;
  }

  async #make(): Promise<SecurityGroup> {
    const { vpcId } = await this.#networks.find();
    return { GroupId: await this.#calls.create(role, vpcId, `Redirected ports of machines of ${this.#cluster}`, []) };
  }

  /** Noted before and after: whoever comes after a crash knows what was on its way. */
  async #carryOut(ports: Ports, seen: Seen): Promise<void> {
    this.#isOpen = false;
    const cidrs = ports.length === 0 ? [] : (await this.#networks.find()).cidrs;
    const wanted = openingsOf({ ports, sources: cidrs }).map(wordOf);
    checkRules(wanted, ports, cidrs);
    const { open, close } = planRedirects(wanted, seen);
    // Who keeps a group sees to its rules himself: the difference is told.
    if (seen.group && isKept(seen.group)) this.#seen = { ...seen, done: wanted, begun: [] };
    else if (open.length > 0 || close.length > 0) {
      const staying = seen.done.filter((word) => !close.includes(word));
      const begun = { done: staying, begun: [...open, ...close] };
      const group = await this.#note(begun, seen.group ?? (await this.#make()));
      // Closed first, for there is room for so many.
      const closed = close.map(openingIn).flatMap((opening) => permissionsOf([opening]));
      await this.#calls.revoke(group.GroupId ?? "", closed);
      await this.#calls.authorize(group.GroupId ?? "", open.map(openingIn));
      await this.#note({ done: wanted, begun: [] }, group);
    }
    this.#isOpen = true;
  }

  async #note(noted: Noted, before: SecurityGroup): Promise<SecurityGroup> {
    this.#changedMs = this.#clock.monotonicMs();
    // What is begun is begun, also when the note is not answered.
    if (noted.begun.length > 0) this.#seen = { group: before, ...noted };
    const group = await this.#calls.note(before, textOf(noted));
    this.#changedMs = this.#clock.monotonicMs();
    this.#seen = { group, ...noted };
    return group;
  }
}
