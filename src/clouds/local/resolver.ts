import type { NameRecord } from "../cloud.ts";
import {
  encodeAddress,
  encodeName,
  encodeReply,
  parseQuery,
  parseResponse,
  type Query,
  type Reply,
  type ResourceRecord,
  recordTypes,
  responseCodes,
} from "./dns-message.ts";

/** The names of a cluster; everything below `domain` that has no record does not exist. */
export type Zone = { domain: string; records: readonly NameRecord[] };

/** Asks the computer's own resolvers: a DNS message there and back. @throws when none of them answers */
export type Forward = (query: Buffer) => Promise<Buffer>;

const aliasesMax = 8;
/** The machines' and the Services' addresses backwards: nobody outside knows them, and asking would only take time. */
const ownReverse = ["90.10.in-addr.arpa", "96.10.in-addr.arpa"];
/** After a failure the computer's resolvers are left alone for so long, so that a machine without a road to the
 * internet is told so at once. */
const restMs = 3_000;

/** Answers the machines' questions: the cluster's names by itself, all others through `forward`. */
export class Resolver {
  #domain = "";
  #records = new Map<string, NameRecord[]>();
  #turn = 0;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  readonly #forward: Forward;
  readonly #nowMs: () => number;

  /** `nowMs`: monotonic. */
  constructor(forward: Forward, nowMs: () => number) {
    this.#forward = forward;
    this.#nowMs = nowMs;
  }

  /** Every answer from now on follows from `zone`. */
  replace(zone: Zone): void {
    const records = new Map<string, NameRecord[]>();
    for (const record of zone.records) {
      const name = normalName(record.name);
      records.set(name, [...(records.get(name) ?? []), record]);
    }
    this.#domain = normalName(zone.domain);
    this.#records = records;
  }

  /** The answer to one message, or undefined for bytes that are no question. */
  async answer(message: Buffer, transport: "udp" | "tcp"): Promise<Buffer | undefined> {
    const query = parseQuery(message);
    if (query === undefined) return undefined;
    if (!this.#isOwn(query.name)) return this.#pass(message).catch(() => failure(query, transport));
    const reply = await this.#resolve(query).catch(
      (): Reply => ({ code: responseCodes.failed, authoritative: false, records: [] }),
    );
    return encodeReply(query, reply, transport);
  }

  #isOwn(name: string): boolean {
    // A name of one word is never a name of the internet's.
    if (this.#records.has(name) || !name.includes(".")) return true;
    return [this.#domain, ...ownReverse].some((zone) => name === zone || name.endsWith(`.${zone}`));
  }

  async #resolve(query: Query): Promise<Reply> {
    const answers: ResourceRecord[] = [];
    let name = query.name;
    for (let aliases = 0; aliases <= aliasesMax; aliases++) {
      const found = this.#records.get(name) ?? [];
      const alias = found.find(({ type }) => type === "CNAME");
      const target = alias?.values[0];
      if (alias === undefined || target === undefined) {
        const records = found.flatMap((record) => (query.type === recordTypes.A ? this.#addresses(name, record) : []));
        const exists = found.length > 0 || this.#hasBelow(name) || answers.length > 0;
        const code = exists ? responseCodes.ok : responseCodes.noSuchName;
        return { code, authoritative: true, records: [...answers, ...records] };
      }
      const data = encodeName(normalName(target));
      answers.push({ name, type: recordTypes.CNAME, ttlSeconds: alias.ttlSeconds, data });
      name = normalName(target);
      if (query.type === recordTypes.CNAME) break;
      if (!this.#isOwn(name)) return await this.#follow(query, name, answers);
    }
    return { code: responseCodes.ok, authoritative: true, records: answers };
  }

  /** An alias leads out of the cluster: what the world says about its target belongs to the answer. */
  async #follow(query: Query, name: string, answers: readonly ResourceRecord[]): Promise<Reply> {
    const question = encodeReply({ id: query.id, name, type: query.type, wantsRecursion: true }, nothing, "udp");
    question.writeUInt16BE(0x0100, 2); // A question, not an answer.
    const { code, records } = parseResponse(await this.#pass(question));
    return { code, authoritative: false, records: [...answers, ...records] };
  }

  async #pass(message: Buffer): Promise<Buffer> {
    if (this.#nowMs() < this.#restUntilMs) throw new Error("no resolver answered a moment ago");
    try {
      return await this.#forward(message);
    } catch (error) {
      this.#restUntilMs = this.#nowMs() + restMs;
      throw error;
    }
  }

  /** Each answer begins with the next address: clients mostly take the first. */
  #addresses(name: string, { values, ttlSeconds }: NameRecord): ResourceRecord[] {
    const from = this.#turn++ % Math.max(1, values.length);
    return [...values.slice(from), ...values.slice(0, from)].map((address) => ({
      name,
      type: recordTypes.A,
      ttlSeconds,
      data: encodeAddress(address),
    }));
  }

  #hasBelow(name: string): boolean {
    if (name === this.#domain) return true;
    for (const other of this.#records.keys()) if (other.endsWith(`.${name}`)) return true;
    return false;
  }
}

const nothing: Reply = { code: responseCodes.ok, authoritative: false, records: [] };

const failure = (query: Query, transport: "udp" | "tcp"): Buffer =>
  encodeReply(query, { ...nothing, code: responseCodes.failed }, transport);

/** Lower case and without the last dot, as names are compared. */
export const normalName = (name: string): string => name.toLowerCase().replace(/\.$/, "");
