/** The part of RFC 1035 that a resolver for a handful of names needs. */

export const recordTypes = { A: 1, CNAME: 5, OPT: 41 } as const;
export const responseCodes = { ok: 0, badFormat: 1, failed: 2, noSuchName: 3 } as const;

export type Query = {
  id: number;
  /** Lower case, without the last dot. */
  name: string;
  type: number;
  wantsRecursion: boolean;
  /** What the asker can take over UDP, if it said so by EDNS. */
  ednsBytes?: number;
};

export type ResourceRecord = { name: string; type: number; ttlSeconds: number; data: Buffer };

const headerBytes = 12;
const internet = 1;
const plainUdpBytesMax = 512;
/** What fits into one packet on every link. */
const ownUdpBytesMax = 1232;

/** A question as it came in, or undefined when it is not one that can be answered. */
export function parseQuery(message: Buffer): Query | undefined {
  try {
    const flags = message.readUInt16BE(2);
    const isQuestion = (flags & 0xf800) === 0 && message.readUInt16BE(4) === 1;
    if (!isQuestion) return undefined;
    const { name, next } = readName(message, headerBytes);
    if (message.readUInt16BE(next + 2) !== internet) return undefined;
    const more = readRecords(
      message,
      next + 4,
      message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10),
    );
    const edns = more.find(({ type }) => type === recordTypes.OPT);
    return {
      id: message.readUInt16BE(0),
      name: name.toLowerCase(),
      type: message.readUInt16BE(next),
      wantsRecursion: (flags & 0x0100) !== 0,
      ...(edns === undefined ? {} : { ednsBytes: Math.max(plainUdpBytesMax, edns.classField) }),
    };
  } catch {
    return undefined;
  }
}

/** The records of a response's answer section and its code. @throws RangeError for a message that ends too early */
export function parseResponse(message: Buffer): { code: number; records: ResourceRecord[] } {
  let at = headerBytes;
  for (let questions = message.readUInt16BE(4); questions > 0; questions--) at = readName(message, at).next + 4;
  return { code: message.readUInt16BE(2) & 0x0f, records: readRecords(message, at, message.readUInt16BE(6)) };
}

function readRecords(message: Buffer, from: number, count: number): (ResourceRecord & { classField: number })[] {
  let at = from;
  return Array.from({ length: count }, () => {
    const { name, next } = readName(message, at);
    const type = message.readUInt16BE(next);
    const length = message.readUInt16BE(next + 8);
    const start = next + 10;
    at = start + length;
    if (at > message.length) throw new RangeError("the message ends within a record");
    // A name in the data may point into the message, so it is written out.
    const data = type === recordTypes.CNAME ? encodeName(readName(message, start).name) : message.subarray(start, at);
    return { name, type, classField: message.readUInt16BE(next + 2), ttlSeconds: message.readUInt32BE(next + 4), data };
  });
}

function readName(message: Buffer, from: number): { name: string; next: number } {
  const labels: string[] = [];
  let at = from;
  let next = -1;
  // Pointers only lead backwards in honest messages; the bound ends the dishonest ones.
  for (let steps = 0; steps < 128; steps++) {
    const length = message.readUInt8(at);
    if (length === 0) return { name: labels.join("."), next: next < 0 ? at + 1 : next };
    if ((length & 0xc0) === 0xc0) {
      if (next < 0) next = at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
    } else {
      if (at + 1 + length > message.length) throw new RangeError("the message ends within a name");
      labels.push(message.toString("latin1", at + 1, at + 1 + length));
      at += 1 + length;
    }
  }
  throw new RangeError("a name has no end");
}

/** @throws RangeError when a label is empty or longer than 63 bytes */
export function encodeName(name: string): Buffer {
  const labels = name === "" ? [] : name.split(".");
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label, "latin1");
    if (bytes.length === 0 || bytes.length > 63) throw new RangeError(`${name} is no name`);
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  });
  return Buffer.concat([...parts, Buffer.of(0)]);
}

/** Four bytes of an IPv4 address. */
export const encodeAddress = (address: string): Buffer => Buffer.from(address.split(".").map(Number));

export type Reply = { code: number; authoritative: boolean; records: readonly ResourceRecord[] };

/**
 * The answer to `query`. Over UDP one that is longer than the asker can take is cut to "ask again over TCP".
 * `transport` is how it was asked.
 */
export function encodeReply(query: Query, reply: Reply, transport: "udp" | "tcp"): Buffer {
  const whole = encode(query, reply, false);
  const bytesMax = transport === "tcp" ? 65_535 : Math.min(query.ednsBytes ?? plainUdpBytesMax, ownUdpBytesMax);
  return whole.length <= bytesMax ? whole : encode(query, { ...reply, records: [] }, true);
}

function encode(query: Query, { code, authoritative, records }: Reply, truncated: boolean): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(query.id, 0);
  const flags = [0x8000, authoritative ? 0x0400 : 0, truncated ? 0x0200 : 0, query.wantsRecursion ? 0x0100 : 0, 0x0080];
  header.writeUInt16BE(
    flags.reduce((all, one) => all | one, code),
    2,
  );
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt16BE(query.ednsBytes === undefined ? 0 : 1, 10);
  const question = Buffer.concat([encodeName(query.name), pair(query.type, internet)]);
  const edns =
    query.ednsBytes === undefined
      ? []
      : [encodeRecord(encodeName(""), recordTypes.OPT, ownUdpBytesMax, 0, Buffer.alloc(0))];
  const answers = records.map(({ name, type, ttlSeconds, data }) =>
    encodeRecord(name === query.name ? askedName : encodeName(name), type, internet, ttlSeconds, data),
  );
  return Buffer.concat([header, question, ...answers, ...edns]);
}

/** Points at the question, where the name stands already. */
const askedName = Buffer.of(0xc0, headerBytes);

function encodeRecord(name: Buffer, type: number, classField: number, ttlSeconds: number, data: Buffer): Buffer {
  const rest = Buffer.alloc(6);
  rest.writeUInt32BE(ttlSeconds, 0);
  rest.writeUInt16BE(data.length, 4);
  return Buffer.concat([name, pair(type, classField), rest, data]);
}

function pair(first: number, second: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(first, 0);
  bytes.writeUInt16BE(second, 2);
  return bytes;
}
