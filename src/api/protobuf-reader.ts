import { badRequest } from "./status.ts";

/** One field of a message: its number, and its value still in wire form. */
export type WireField = { number: number; varint?: number | bigint; bytes?: Uint8Array; double?: number };

const truncated = () => badRequest("the protobuf body ends in the middle of a field: unexpected EOF");

/** The fields of one message in the order in which they were written. @throws ApiError 400 when the bytes are broken */
export function* wireFields(message: Uint8Array): Generator<WireField> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  /** Small ones, which are nearly all, as numbers. */
  const varint = (): number | bigint => {
    const start = at;
    let value = 0;
    for (let factor = 1; factor <= 2 ** 42; factor *= 128) {
      const byte = message[at++];
      if (byte === undefined) throw truncated();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    at = start;
    return longVarint();
  };
  const longVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined) throw truncated();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw badRequest("the protobuf body holds an integer of more than 64 bits");
  };
  const take = (lengthBytes: number): number => {
    const start = at;
    at += lengthBytes;
    if (at > message.length) throw truncated();
    return start;
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        yield { number, varint: varint() };
        break;
      case 1:
        yield { number, double: view.getFloat64(take(8), true) };
        break;
      case 2: {
        const lengthBytes = Number(varint());
        const start = take(lengthBytes);
        yield { number, bytes: message.subarray(start, start + lengthBytes) };
        break;
      }
      case 5:
        take(4);
        break;
      default:
        throw badRequest(`the protobuf body holds a field of the unknown wire type ${tag % 8}`);
    }
  }
}

/** Signed 64-bit, as `int32`, `int64` and enums travel. Beyond 2^53 the nearest number that JSON readers would see. */
export const signed = (field: WireField | undefined): number => {
  const value = field?.varint ?? 0;
  return typeof value === "number" ? value : Number(BigInt.asIntN(64, value));
};

const utf8 = new TextDecoder();

/** The field as text; broken UTF-8 becomes U+FFFD. */
export const text = (field: WireField | undefined): string => utf8.decode(field?.bytes);
