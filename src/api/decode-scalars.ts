import { MalformedValue } from "./malformed.ts";
import { canonicalQuantity } from "./quantity.ts";
import type { ScalarType } from "./structure.ts";
import { canonicalDurationText, canonicalMicroTimeText, canonicalTimeText } from "./times.ts";

/** Where a value stands: for the paths in complaints. Indexes are `[0]`, keys of maps `.key`, fields bare names. */
export type Place = { path: string[]; struct: string; unknown: string[] };

/** What JSON calls a value, as Go's decoder says it. */
function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : value === null ? "null" : typeof value;
}

/** A value of another JSON kind than its field's type. */
export function wrongKind(value: unknown, goType: string, place: Place): MalformedValue {
  const shown = typeof value === "number" && /^u?int/.test(goType) ? `number ${value}` : jsonKind(value);
  const fields = place.path.filter((step) => !step.startsWith("[") && !step.startsWith("."));
  if (fields.length === 0) return new MalformedValue(`json: cannot unmarshal ${shown} into Go value of type ${goType}`);
  const where = `${place.struct}.${fields.join(".")}`;
  return new MalformedValue(`json: cannot unmarshal ${shown} into Go struct field ${where} of type ${goType}`);
}

export type Decode = (value: unknown, place: Place) => unknown;

/** A whole number of a width; `limit` is exclusive upwards. */
const whole =
  (limit: number) =>
  (goType: string): Decode =>
  (value, place) => {
    if (typeof value === "number" && Number.isInteger(value) && value < limit && value >= -limit) return value;
    throw wrongKind(value, goType, place);
  };

const ofType =
  (type: "string" | "boolean" | "number") =>
  (goType: string): Decode =>
  (value, place) => {
    if (typeof value === type) return value;
    throw wrongKind(value, goType, place);
  };

/** A text that `canonical` checks and rewrites. */
const text =
  (canonical: (value: string) => string) =>
  (goType: string): Decode =>
  (value, place) => {
    if (typeof value === "string") return canonical(value);
    throw wrongKind(value, goType === "v1.Duration" ? goType : "string", place);
  };

const base64Form = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Standard base64 with padding; line ends inside are ignored. */
function canonicalBase64(value: string): string {
  const bare = /[\r\n]/.test(value) ? value.replace(/[\r\n]/g, "") : value;
  if (base64Form.test(bare)) return bare;
  const bad = /[^A-Za-z0-9+/]/.exec(bare)?.index ?? bare.length;
  // Go reports the start of the last group when the text ends too early.
  const at = bad < bare.length && bare[bad] !== "=" ? bad : bare.length - (bare.length % 4 || 4);
  throw new MalformedValue(`illegal base64 data at input byte ${at}`);
}

/** What is no text is refused as the text that it is in JSON. */
const quantityText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value)).trim();
const quantity: Decode = (value) => canonicalQuantity(quantityText(value));

/** An amount in a list of resources, which holds nothing finer than a thousandth. */
export const resourceAmount: Decode = (value) => canonicalQuantity(quantityText(value), true);

const int32Limit = 2 ** 31;
const intOrString: Decode = (value, place) => {
  if (typeof value === "string") return value;
  if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= int32Limit) return value;
  throw wrongKind(value, typeof value === "number" ? "int32" : "intstr.IntOrString", place);
};

/** The decoder of each type, given its name in Go. They are never called with null. */
export const scalarDecoders: Record<ScalarType, (goType: string) => Decode> = {
  string: ofType("string"),
  bool: ofType("boolean"),
  double: ofType("number"),
  int32: whole(int32Limit),
  int64: whole(2 ** 63),
  bytes: text(canonicalBase64),
  quantity: () => quantity,
  intOrString: () => intOrString,
  time: text(canonicalTimeText),
  microTime: text(canonicalMicroTimeText),
  duration: text(canonicalDurationText),
  open: () => (value) => value,
};

/** What an absent value of a type is written as, where it is written at all. */
export const scalarZeros: Record<ScalarType, unknown> = {
  string: "",
  bool: false,
  double: 0,
  int32: 0,
  int64: 0,
  bytes: null,
  quantity: "0",
  intOrString: 0,
  time: null,
  microTime: null,
  duration: "0s",
  open: null,
};
