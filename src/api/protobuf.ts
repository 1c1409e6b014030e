import { AssertionFailed } from "../base/assert.ts";
import { rfc3339 } from "../base/clock.ts";
import { type FieldType, fieldType } from "./field-type.ts";
import { isObject, put } from "./json-values.ts";
import { type FieldRow, schema } from "./kinds.ts";
import { signed, text, type WireField, wireFields } from "./protobuf-reader.ts";
import { badRequest } from "./status.ts";

/** `k8s` and a zero byte. */
const magic = [0x6b, 0x38, 0x73, 0x00];
/** Deeper nesting than any kind has except JSON schemas, which Kubernetes bounds by the body's size. */
const depthMax = 500;
const nothing = new Uint8Array();

/** One numbered field of a message in the form that the decoder looks up. */
type Slot = { name: string; type: FieldType; keepsZero: boolean };
/** A message's fields by number; `inlined` are messages whose fields JSON writes into the parent. */
type Message = { slots: Map<number, Slot>; inlined: Map<number, Message> };

const messages = new Map<string, Message>();
const typeOfKind = new Map(
  Object.entries(schema.types).flatMap(([type, { k }]) => (k ? [[`${k[0]}/${k[1]}`, type] as const] : [])),
);

/** Name of the type that a body with this apiVersion and kind has; DeleteOptions travels under every group. */
const typeOf = (apiVersion: string, kind: string): string | undefined =>
  typeOfKind.get(`${apiVersion === "meta.k8s.io/v1" ? "v1" : apiVersion}/${kind}`) ?? typeOfKind.get(`*/${kind}`);

/**
 * Reads a body of type `application/vnd.kubernetes.protobuf` into its JSON form. Zero scalars that JSON would leave
 * out are left out; fields with unknown numbers are skipped, as protobuf readers do.
 * @throws ApiError 400 when the bytes are no such body or the kind is unknown
 */
export function decodeProtobuf(bytes: Uint8Array): { apiVersion: string; kind: string; value: unknown } {
  if (magic.some((byte, index) => bytes[index] !== byte)) {
    throw badRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  }
  let [apiVersion, kind] = ["", ""];
  let raw: Uint8Array = nothing;
  for (const field of wireFields(bytes.subarray(magic.length))) {
    if (field.number === 1 && field.bytes) {
      for (const part of wireFields(field.bytes)) {
        if (part.number === 1) apiVersion = text(part);
        if (part.number === 2) kind = text(part);
      }
    }
    if (field.number === 2 && field.bytes) raw = field.bytes;
  }
  const type = typeOf(apiVersion, kind);
  if (type === undefined) throw badRequest(`no kind "${kind}" is registered for version "${apiVersion}"`);
  return { apiVersion, kind, value: { kind, apiVersion, ...decodeMessage(messageOf(type), raw, 0) } };
}

function messageOf(type: string): Message {
  const known = messages.get(type);
  if (known) return known;
  const message: Message = { slots: new Map(), inlined: new Map() };
  messages.set(type, message);
  for (const [name, row] of Object.entries(schema.types[type]?.f ?? {})) place(message, name, row);
  return message;
}

function place(message: Message, name: string, [type, number, flags = ""]: FieldRow): void {
  const slot = { name, type: fieldType(type), keepsZero: /[pa]/.test(flags) };
  if (typeof number === "number") {
    if (number > 0) message.slots.set(number, slot);
    return;
  }
  const [outer, inner] = number;
  const embedded = message.inlined.get(outer) ?? { slots: new Map(), inlined: new Map() };
  embedded.slots.set(inner, slot);
  message.inlined.set(outer, embedded);
}

function decodeMessage(message: Message, bytes: Uint8Array, depth: number): Record<string, unknown> {
  if (depth > depthMax) throw badRequest("the protobuf body is nested too deeply");
  const found = new Map<string, unknown>();
  collect(message, bytes, depth, found);
  return Object.fromEntries(found);
}

function collect(message: Message, bytes: Uint8Array, depth: number, found: Map<string, unknown>): void {
  for (const field of wireFields(bytes)) {
    const inlined = message.inlined.get(field.number);
    if (inlined && field.bytes) collect(inlined, field.bytes, depth, found);
    const slot = message.slots.get(field.number);
    if (!slot) continue;
    const value = decodeField(slot.type, field, depth, found.get(slot.name));
    if (value === undefined || (!slot.keepsZero && isZero(value))) continue;
    found.set(slot.name, value);
  }
}

const isZero = (value: unknown): boolean => value === "" || value === 0 || value === false;

/** `before`: what earlier fields of the same number gave; lists and maps grow. Undefined: as good as absent. */
function decodeField(type: FieldType, field: WireField, depth: number, before: unknown): unknown {
  if (type.is === "list") {
    const items: unknown[] = Array.isArray(before) ? before : [];
    items.push(decodeValue(type.of, field, depth) ?? null);
    return items;
  }
  if (type.is !== "map") return decodeValue(type, field, depth);
  const parts = new Map<number, WireField>();
  for (const part of wireFields(field.bytes ?? nothing)) parts.set(part.number, part);
  const value = decodeValue(type.of, parts.get(2) ?? { number: 2 }, depth) ?? null;
  const entries = isObject(before) ? before : {};
  put(entries, text(parts.get(1)), value);
  return entries;
}

function decodeValue(type: FieldType, field: WireField, depth: number): unknown {
  const bytes = field.bytes ?? nothing;
  if (type.is === "ref") return decodeMessage(messageOf(type.to), bytes, depth + 1);
  if (type.is === "wireList") {
    return [...wireFields(bytes)].filter(({ number }) => number === 1).map((part) => decodeValue(type.of, part, depth));
  }
  return type.is === "scalar" ? decodeScalar(type.name, field, bytes, depth) : undefined;
}

function decodeScalar(name: string, field: WireField, bytes: Uint8Array, depth: number): unknown {
  switch (name) {
    case "string":
      return text(field);
    case "int32":
    case "int64":
      return signed(field);
    case "bool":
      return signed(field) !== 0;
    case "double":
      return field.double ?? 0;
    case "bytes":
      return Buffer.from(bytes).toString("base64");
  }
  return decodeSpecial(name, new Map([...wireFields(bytes)].map((part) => [part.number, part])), bytes, depth);
}

/** The types whose JSON is not the message's fields. `parts`: the last field of each number. */
function decodeSpecial(name: string, parts: Map<number, WireField>, bytes: Uint8Array, depth: number): unknown {
  const [first, second] = [parts.get(1), parts.get(2)];
  switch (name) {
    case "quantity":
      return text(first) || "0";
    case "intOrString":
      return signed(first) === 0 ? signed(second) : text(parts.get(3));
    case "time":
    case "microTime":
      return parts.size === 0 ? undefined : timeText(name, signed(first), signed(second));
    case "duration":
      return durationText(BigInt.asIntN(64, BigInt(first?.varint ?? 0)));
    case "rawExtension":
    case "json":
    case "fieldsV1":
      return embedded(first?.bytes ?? nothing);
    case "schemaOrArray":
      return first ? jsonSchema(first, depth) : all(bytes, 2).map((part) => jsonSchema(part, depth));
    case "schemaOrBool":
      return second ? jsonSchema(second, depth) : signed(first) !== 0;
    case "schemaOrStringArray":
      return first ? jsonSchema(first, depth) : all(bytes, 2).map(text);
    default:
      throw new AssertionFailed(`the schema table has a type ${name} that the protobuf reader does not know`);
  }
}

const all = (bytes: Uint8Array, number: number): WireField[] =>
  [...wireFields(bytes)].filter((part) => part.number === number);

const jsonSchema = (field: WireField, depth: number): unknown =>
  decodeMessage(messageOf("apiextensions.v1.JSONSchemaProps"), field.bytes ?? nothing, depth + 1);

/** An object inside an object: JSON, or the protobuf envelope again. */
function embedded(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return null;
  if (magic.every((byte, index) => bytes[index] === byte)) return decodeProtobuf(bytes).value;
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    throw badRequest("the protobuf body holds an embedded object that is not JSON");
  }
}

function timeText(name: "time" | "microTime", seconds: number, nanos: number): string {
  // The years 1 to 9999, which is what RFC 3339 can write.
  if (seconds < -62_135_596_800 || seconds > 253_402_300_799)
    throw badRequest("the protobuf body holds a year beyond 9999");
  const whole = rfc3339(seconds * 1000);
  return name === "time" ? whole : whole.replace("Z", `.${String(Math.floor(nanos / 1000)).padStart(6, "0")}Z`);
}

/** As Go writes a duration: `1h0m5s`, `1.5s`, `250ms`, `0s`. */
function durationText(nanos: bigint): string {
  const sign = nanos < 0n ? "-" : "";
  const size = nanos < 0n ? -nanos : nanos;
  if (size === 0n) return "0s";
  const unit = [
    ["ns", 1n],
    ["µs", 1_000n],
    ["ms", 1_000_000n],
  ] as const;
  const small = unit.findLast(([, of]) => size >= of);
  if (small && size < 1_000_000_000n) return `${sign}${decimal(size, small[1])}${small[0]}`;
  const [minutes, seconds] = [size / 60_000_000_000n, `${decimal(size % 60_000_000_000n, 1_000_000_000n)}s`];
  if (minutes === 0n) return sign + seconds;
  return minutes < 60n ? `${sign}${minutes}m${seconds}` : `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`;
}

/** `value / unit` without trailing zeros. `unit` is a power of ten. */
function decimal(value: bigint, unit: bigint): string {
  const fraction = String(value % unit)
    .padStart(String(unit).length - 1, "0")
    .replace(/0+$/, "");
  return unit === 1n || fraction === "" ? `${value / unit}` : `${value / unit}.${fraction}`;
}
