import { type Change, ChangeResourceRecordSetsCommand, GetChangeCommand } from "@aws-sdk/client-route-53";
import type { Clock } from "../../base/clock.ts";
import type { NameRecord, Names } from "../cloud.ts";
import type { Send } from "./api.ts";
import { awsCodeOf, isKind } from "./errors.ts";
import { absenceTtlSeconds, findZone, readRecords, type Zone, type ZoneOptions } from "./hosted-zone.ts";
import type { Networks } from "./network.ts";
import {
  applied,
  checkRecord,
  isOwn,
  type NameChange,
  plainName,
  planChange,
  recordOf,
  requestsOf,
  type ZoneRecords,
} from "./record-changes.ts";

export type NamesOptions = Omit<ZoneOptions, "vpcId"> & { networks: Pick<Networks, "find"> };

/** What became of a name's change. */
type Outcome = { changeId?: string; error?: unknown };
type Outcomes = Map<string, Outcome>;

type Request = {
  records: readonly NameRecord[];
  resolve: (changeIds: readonly string[]) => void;
  reject: (error: unknown) => void;
};

/** Changes that come within so long of each other go in one request. */
const gatherMs = 100;
/** One request at a time and zone, and not more than one in so long. */
const pauseMs = 1_000;
const busyPauseMs = 2_000;
const busyForMs = 120_000;
/** A change takes about 20 s to reach every resolver; with many under way each is asked about more seldom. */
const syncMs = 3_000;
const syncEachMs = 250;

/**
 * Names in a private hosted zone of Route 53. One writer sends everything that waits, in as few requests as AWS
 * allows; `change` resolves when the request is in sync. Of more than 400 addresses a name has the first 400.
 */
export function openAwsNames(options: NamesOptions): Names {
  const { domain } = options;
  const writer = new Writer(options);
  return {
    async change(records, signal) {
      for (const record of records) checkRecord(record, domain);
      const ids = await raced(writer.add(records), signal);
      await raced(writer.inSync(ids), signal);
    },
    async list(signal) {
      const zone = await writer.zone();
      const sets = [...(await readRecords(options.send, zone.id, signal)).values()].flat();
      return sets.filter((set) => isOwn(set, domain)).map(recordOf);
    },
  };
}

/** `signal` ends the waiting, not the work. */
function raced<Value>(work: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

class Writer {
  readonly #options: NamesOptions;
  readonly #send: Send;
  readonly #clock: Clock;
  #waiting: Request[] = [];
  #isWriting = false;
  #zone: Promise<Zone> | undefined;
  /** What the zone holds, as far as it was read and written since; undefined when a request may have been carried out. */
  #records: ZoneRecords | undefined;
  /** Requests that are not known to be in sync, by their change's id; and the last one of each name. */
  readonly #syncs = new Map<string, Promise<void>>();
  readonly #changeOf = new Map<string, string>();

  constructor(options: NamesOptions) {
    this.#options = options;
    this.#send = options.send;
    this.#clock = options.clock;
  }

  zone(): Promise<Zone> {
    const { networks, ...options } = this.#options;
    const known = this.#zone ?? networks.find().then(({ vpcId }) => findZone({ ...options, vpcId }));
    this.#zone = known;
    known.catch(() => {
      if (this.#zone === known) this.#zone = undefined;
    });
    return known;
  }

  /** Resolves with the ids of the requests that carried the records. */
  add(records: readonly NameRecord[]): Promise<readonly string[]> {
    const done = new Promise<readonly string[]>((resolve, reject) => {
      this.#waiting.push({ records, resolve, reject });
    });
    if (!this.#isWriting) void this.#write();
    return done;
  }

  /** Never throws: what fails is told to whom it concerns. */
  async #write(): Promise<void> {
    this.#isWriting = true;
    await this.#clock.sleep(gatherMs);
    while (this.#waiting.length > 0) {
      const requests = this.#waiting;
      this.#waiting = [];
      try {
        await this.#flush(requests);
      } catch (error) {
        for (const { reject } of requests) reject(error);
      }
      await this.#clock.sleep(pauseMs);
    }
    this.#isWriting = false;
  }

  async #flush(requests: readonly Request[]): Promise<void> {
    const zone = await this.zone();
    this.#records ??= await this.#read(zone);
    // Of a name that was changed twice meanwhile, the last word counts.
    const last = new Map(requests.flatMap(({ records }) => records).map((record) => [plainName(record.name), record]));
    const outcomes: Outcomes = new Map();
    const changes = this.#plan([...last.values()], this.#records, outcomes);
    for (const request of requestsOf(changes)) await this.#carryOut(zone, request, outcomes, true);
    for (const { records, resolve, reject } of requests) {
      const own = records.flatMap(({ name }) => outcomes.get(plainName(name)) ?? []);
      const failed = own.find(({ error }) => error !== undefined);
      if (failed) reject(failed.error);
      else resolve([...new Set(own.flatMap(({ changeId }) => changeId ?? []))]);
    }
  }

  async #read({ id, isOurs }: Zone): Promise<ZoneRecords> {
    const records = await readRecords(this.#send, id);
    const soa = [...records.values()].flat().find(({ Type }) => Type === "SOA");
    const [, fixed] = /^(\S+ \S+(?: \d+){4}) \d+$/.exec(soa?.ResourceRecords?.[0]?.Value ?? "") ?? [];
    if (!isOurs || fixed === undefined || (soa?.TTL ?? 0) <= absenceTtlSeconds) return records;
    // The zone's SOA decides how long an answer "there is no such name" is kept: as AWS makes it, 15 minutes.
    const ResourceRecords = [{ Value: `${fixed} ${absenceTtlSeconds}` }];
    const set = { Name: soa?.Name, Type: "SOA" as const, TTL: absenceTtlSeconds, ResourceRecords };
    await this.#submit(id, [{ Action: "UPSERT", ResourceRecordSet: set }]);
    return records;
  }

  /**
   * One request. When AWS refuses it the zone is not as it was thought to be, or one change is bad: it is read and
   * planned again once, then halved until the bad one stands alone.
   */
  async #carryOut(zone: Zone, changes: readonly NameChange[], outcomes: Outcomes, isFirst: boolean): Promise<void> {
    const tell = (outcome: Outcome) => {
      for (const { name } of changes) outcomes.set(name, outcome);
    };
    try {
      const changeId = await this.#submit(
        zone.id,
        changes.flatMap((change) => change.changes),
      );
      tell({ changeId });
      for (const { name } of changes) this.#changeOf.set(name, changeId);
      void this.#watch(changeId);
      if (this.#records) this.#records = applied(this.#records, changes);
    } catch (error) {
      if (awsCodeOf(error) !== "InvalidChangeBatch") {
        if (awsCodeOf(error) === "NoSuchHostedZone") this.#zone = undefined;
        this.#records = undefined;
        return tell({ error });
      }
      if (!isFirst && changes.length === 1) return tell({ error });
      if (isFirst) this.#records = await readRecords(this.#send, zone.id);
      const again = isFirst
        ? [this.#plan(changes.map(wantedBy), this.#records ?? new Map(), outcomes)]
        : halves(changes);
      for (const part of again) if (part.length > 0) await this.#carryOut(zone, part, outcomes, false);
    }
  }

  #plan(records: readonly NameRecord[], zone: ZoneRecords, outcomes: Outcomes): NameChange[] {
    return records.flatMap((record) => {
      const name = plainName(record.name);
      try {
        const change = planChange(record, zone, this.#options.domain);
        const changeId = this.#changeOf.get(name);
        // Nothing to do may still be on its way.
        if (!change) outcomes.set(name, changeId === undefined ? {} : { changeId });
        return change ?? [];
      } catch (error) {
        outcomes.set(name, { error });
        return [];
      }
    });
  }

  /** AWS takes one request at a time and zone, somebody else's included. */
  async #submit(HostedZoneId: string, Changes: Change[]): Promise<string> {
    const untilMs = this.#clock.monotonicMs() + busyForMs;
    for (;;) {
      try {
        const command = new ChangeResourceRecordSetsCommand({ HostedZoneId, ChangeBatch: { Changes } });
        return (await this.#send("route53", command)).ChangeInfo?.Id ?? "";
      } catch (error) {
        if (!isKind(error, "throttled") || this.#clock.monotonicMs() > untilMs) throw error;
      }
      await this.#clock.sleep(busyPauseMs);
    }
  }

  /** Resolves when every resolver answers with the requests' records. */
  async inSync(ids: readonly string[]): Promise<void> {
    const open = new Set(this.#changeOf.values());
    await Promise.all(ids.map((id) => this.#syncs.get(id) ?? (open.has(id) ? this.#watch(id) : undefined)));
  }

  /** @throws CLOUD_AUTH: AWS doesn't permit to ask; who asks for the same change again finds out anew */
  #watch(id: string): Promise<void> {
    const done = this.#follow(id).finally(() => this.#syncs.delete(id));
    // Perhaps nobody waits for it.
    done.catch(() => undefined);
    this.#syncs.set(id, done);
    return done;
  }

  async #follow(id: string): Promise<void> {
    while (!(await this.#isInSync(id))) {
      await this.#clock.sleep(Math.max(syncMs, this.#syncs.size * syncEachMs));
    }
    for (const [name, changeId] of this.#changeOf) if (changeId === id) this.#changeOf.delete(name);
  }

  /** Not knowing is a no, until a new login or a calmer AWS answers; changes that are long past are forgotten there. */
  async #isInSync(id: string): Promise<boolean> {
    try {
      const command = new GetChangeCommand({ Id: id.replace(/^\/change\//, "") });
      return (await this.#send("route53", command)).ChangeInfo?.Status === "INSYNC";
    } catch (error) {
      if (isKind(error, "denied")) throw error;
      return isKind(error, "absent");
    }
  }
}

/** The record that a change leads to. */
const wantedBy = ({ name, changes }: NameChange): NameRecord => {
  const set = changes.find(({ Action }) => Action !== "DELETE")?.ResourceRecordSet;
  return set ? recordOf(set) : { name, type: "A", values: [], ttlSeconds: 0 };
};

const halves = <Item>(items: readonly Item[]): Item[][] => {
  const half = Math.ceil(items.length / 2);
  return [items.slice(0, half), items.slice(half)];
};
