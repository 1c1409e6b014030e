import { type Decode, type Place, resourceAmount, scalarDecoders, scalarZeros, wrongKind } from "./decode-scalars.ts";
import { isObject, put } from "./json-values.ts";
import { type Kind, kinds } from "./kinds.ts";
import { MalformedValue } from "./malformed.ts";
import type { KubeObject } from "./object.ts";
import { badRequest } from "./status.ts";
import { inDocumentOrder } from "./strict.ts";
import { type Field, type Shape, type StructShape, structureOfKind } from "./structure.ts";

/** What becomes of a field that decodes to nothing: `keep` it, leave a zero out, or leave an empty list or map out. */
type Rest = "keep" | "zero" | "empty";
type FieldDecoder = {
  name: string;
  decode: Decode;
  rest: Rest;
  /** What is written when the field is absent, or undefined for nothing; a function where each needs its own. */
  absent: (() => unknown) | null | undefined;
  zero: unknown;
};

/** An absent value of `shape` as an item of a list or map, where null stands for it. */
function zeroOf(shape: Shape): unknown {
  if (shape.is === "scalar") return scalarZeros[shape.type];
  return shape.is === "struct" ? structDecoder(shape)({}, { path: [], struct: "", unknown: [] }) : null;
}

function listDecoder(shape: Shape & { is: "list" }): Decode {
  const item = decoderOf(shape.item);
  return (value, place) => {
    if (!Array.isArray(value)) throw wrongKind(value, shape.goType, place);
    const depth = place.path.length;
    const out: unknown[] = new Array(value.length);
    for (let index = 0; index < value.length; index++) {
      place.path[depth] = `[${index}]`;
      out[index] = value[index] === null ? zeroOf(shape.item) : item(value[index], place);
    }
    place.path.length = depth;
    return out;
  };
}

function mapDecoder(shape: Shape & { is: "map" }): Decode {
  const isResources = shape.item.is === "scalar" && shape.item.type === "quantity";
  const item = isResources ? resourceAmount : decoderOf(shape.item);
  return (value, place) => {
    if (!isObject(value)) throw wrongKind(value, shape.goType, place);
    const depth = place.path.length;
    const out: Record<string, unknown> = {};
    const keys = Object.keys(value);
    if (keys.length > 1) keys.sort();
    for (const key of keys) {
      place.path[depth] = `.${key}`;
      const given = value[key];
      put(out, key, given === null ? (zeroOf(shape.item) ?? "") : item(given, place));
    }
    place.path.length = depth;
    return out;
  };
}

function schemaOrDecoder({ schema, or, goType }: Shape & { is: "schemaOr" }): Decode {
  const decode = structDecoder(schema);
  return (value, place) => {
    if (or === "bool" && typeof value === "boolean") return value;
    if (or === "schemas" && Array.isArray(value)) return value.map((item) => decode(item, place));
    if (or === "strings" && Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
    if (!isObject(value)) throw wrongKind(value, goType, place);
    return decode(value, place);
  };
}

function decoderOf(shape: Shape): Decode {
  switch (shape.is) {
    case "scalar":
      return scalarDecoders[shape.type](shape.goType);
    case "list":
      return listDecoder(shape);
    case "map":
      return mapDecoder(shape);
    case "schemaOr":
      return schemaOrDecoder(shape);
    case "struct":
      return structDecoder(shape);
  }
}

function absentOf({ shape, pointer, always }: Field): FieldDecoder["absent"] {
  if (!always) return undefined;
  if (pointer || shape.is === "list" || shape.is === "map") return null;
  if (shape.is === "struct") {
    const decode = structDecoder(shape);
    return () => decode({}, { path: [], struct: "", unknown: [] });
  }
  const zero = shape.is === "scalar" ? scalarZeros[shape.type] : null;
  return zero === null ? null : () => zero;
}

function fieldDecoder(field: Field): FieldDecoder {
  // An empty list of owners means something: clear them.
  if (field.name === "managedFields") return { ...plainDecoder(field), rest: "keep" };
  return plainDecoder(field);
}

function plainDecoder(field: Field): FieldDecoder {
  const { shape, pointer, always } = field;
  const isCollection = shape.is === "list" || shape.is === "map";
  const rest = always || (pointer && !isCollection) ? "keep" : isCollection ? "empty" : "zero";
  const zero = shape.is === "scalar" ? scalarZeros[shape.type] : undefined;
  return { name: field.name, decode: decoderOf(shape), rest, absent: absentOf(field), zero };
}

const isEmpty = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.length === 0;
  for (const _ in value as object) return false;
  return true;
};

function noteUnknown(input: Record<string, unknown>, shape: StructShape, place: Place): void {
  const depth = place.path.length;
  for (const key of Object.keys(input)) {
    if (shape.byName.has(key)) continue;
    const path = [...place.path.slice(0, depth), key];
    place.unknown.push(path.map((step, at) => (at === 0 || /^[[.]/.test(step) ? step : `.${step}`)).join(""));
  }
}

/** Fields are written in the order of the type, which is how Kubernetes writes them. */
function decodeFields(shape: StructShape): Decode {
  const fields = shape.fields.map(fieldDecoder);
  const goType = shape.goType.slice(shape.goType.indexOf(".") + 1);
  return (input, place) => {
    if (!isObject(input)) throw wrongKind(input, shape.goType, place);
    const out: Record<string, unknown> = {};
    const depth = place.path.length;
    let seen = 0;
    for (const { name, decode, rest, absent, zero } of fields) {
      const given = input[name];
      if (given !== undefined && given !== null) {
        seen++;
        place.path[depth] = name;
        place.struct = goType;
        const value = decode(given, place);
        if (rest === "keep" || (rest === "zero" ? value !== zero : !isEmpty(value))) {
          out[name] = value;
          continue;
        }
      } else if (given === null) seen++;
      if (absent !== undefined) out[name] = absent === null ? null : absent();
    }
    place.path.length = depth;
    for (const _ in input) seen--;
    if (seen < 0) noteUnknown(input, shape, place);
    return out;
  };
}

const structDecoders = new Map<StructShape, Decode>();

/** Compiled when first used, because types may hold themselves and most types are never used. */
function structDecoder(shape: StructShape): Decode {
  const known = structDecoders.get(shape);
  if (known) return known;
  let decode: Decode | undefined;
  const lazy: Decode = (value, place) => {
    decode ??= decodeFields(shape);
    return decode(value, place);
  };
  structDecoders.set(shape, lazy);
  return lazy;
}

/** The package of a version's types that Go's own words name: `apps/v1` is `apps`, `v1` is `core`. */
const goPackage = (kind: Kind): string => kind.type.slice(0, kind.type.indexOf("."));

/** A body that says it is something else than the address it was sent to. */
function checkKind(kind: Kind, apiVersion: unknown, named: unknown): void {
  const bodyVersion = typeof apiVersion === "string" && apiVersion !== "" ? apiVersion : kind.apiVersion;
  const bodyKind = typeof named === "string" && named !== "" ? named : kind.kind;
  if (bodyVersion === kind.apiVersion && bodyKind === kind.kind) return;
  const version = bodyVersion.slice(bodyVersion.indexOf("/") + 1);
  const known = kinds.get(`${bodyVersion}/${bodyKind}`);
  const why = known
    ? `converting (${known.version}.${bodyKind}) to (${goPackage(kind)}.${kind.kind}): unknown conversion`
    : `no kind "${bodyKind}" is registered for version "${bodyVersion}" in scheme "pkg/runtime/scheme.go:111"`;
  throw badRequest(`${bodyKind} in version "${version}" cannot be handled as a ${kind.kind}: ${why}`);
}

/**
 * A request's value as an object of `kind` in the form that Kubernetes stores and answers: fields in the type's order,
 * nulls and meaningless zeros left out, quantities, times and base64 rewritten, the type's own zeros filled in.
 * `unknown`: paths of the fields that the type does not have, in the order in which they were written; they are not
 * in `object`. The value itself is left alone, but parts of it that any JSON may fill are shared.
 * @throws ApiError 400 in the words of Kubernetes when a value has the wrong type.
 */
export function decodeObject(kind: Kind, value: unknown): { object: KubeObject; unknown: string[] } {
  const place: Place = { path: [], struct: "", unknown: [] };
  if (isObject(value)) checkKind(kind, value["apiVersion"], value["kind"]);
  try {
    const decoded = structDecoder(structureOfKind(kind))(value, place);
    // The type's decoder has made an object; its identity is the kind's, which the body need not repeat.
    const object = { apiVersion: kind.apiVersion, kind: kind.kind, ...(decoded as object) } as KubeObject;
    object.apiVersion = kind.apiVersion;
    object.kind = kind.kind;
    return { object, unknown: inDocumentOrder(value, place.unknown) };
  } catch (error) {
    if (!(error instanceof MalformedValue)) throw error;
    throw badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${error.message}`);
  }
}

/** What a field of `kind` is written as when nothing was said about it: `status` of a new Deployment is `{}`. */
export function emptyField(kind: Kind, name: string): unknown {
  const field = structureOfKind(kind).byName.get(name);
  return field?.shape.is === "struct" ? zeroOf(field.shape) : undefined;
}

const empties = new Map<string, KubeObject>();

/** An object of `kind` that says nothing. Shared: nobody may change it. */
export function emptyObject(kind: Kind): KubeObject {
  const id = `${kind.apiVersion}/${kind.kind}`;
  const known = empties.get(id);
  if (known) return known;
  const { object } = decodeObject(kind, {});
  empties.set(id, object);
  return object;
}
