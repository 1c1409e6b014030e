import { assert } from "../base/assert.ts";
import { type FieldRow, type Kind, schema } from "./kinds.ts";

/** Types that are one JSON value on their own; `open` is any JSON, kept as it is. */
export type ScalarType =
  | "string"
  | "int32"
  | "int64"
  | "bool"
  | "double"
  | "bytes"
  | "quantity"
  | "intOrString"
  | "time"
  | "microTime"
  | "duration"
  | "open";

/**
 * The compiled form of a type, between the data (schema table, later a CRD's OpenAPI) and everything that walks
 * objects: decoding, defaults, field sets, apply. `goType` is the type's name in Go, for error texts. `atomic`: one
 * owner for the whole value. `list` shapes of kind `map` are keyed by `keys`, `set` by the item itself.
 */
export type Shape =
  | { is: "scalar"; type: ScalarType; goType: string }
  | StructShape
  | ListShape
  | { is: "map"; item: Shape; atomic: boolean; goType: string }
  /** A JSON Schema that may also be written as a list of schemas, of strings, or as a bool. */
  | { is: "schemaOr"; schema: StructShape; or: "schemas" | "strings" | "bool"; goType: string };

export type ListShape = {
  is: "list";
  item: Shape;
  kind: "atomic" | "set" | "map";
  /** In alphabetical order. */
  keys: readonly string[];
  goType: string;
};
export type StructShape = {
  is: "struct";
  /** Name in the table, `core.v1.Pod`. */
  name: string;
  goType: string;
  atomic: boolean;
  readonly fields: readonly Field[];
  readonly byName: ReadonlyMap<string, Field>;
};
export type Field = {
  name: string;
  shape: Shape;
  /** Presence counts, so zeros are kept. */
  pointer: boolean;
  /** Always written: as its zero value, or null for absent lists, maps and pointers. */
  always: boolean;
  /** The default that the type itself declares, if any: counts for the keys of a list. */
  default?: unknown;
};

const scalars: Record<string, { type: ScalarType; goType: string }> = {
  string: { type: "string", goType: "string" },
  int32: { type: "int32", goType: "int32" },
  int64: { type: "int64", goType: "int64" },
  bool: { type: "bool", goType: "bool" },
  double: { type: "double", goType: "float64" },
  bytes: { type: "bytes", goType: "[]uint8" },
  quantity: { type: "quantity", goType: "resource.Quantity" },
  intOrString: { type: "intOrString", goType: "intstr.IntOrString" },
  time: { type: "time", goType: "v1.Time" },
  microTime: { type: "microTime", goType: "v1.MicroTime" },
  duration: { type: "duration", goType: "v1.Duration" },
  rawExtension: { type: "open", goType: "runtime.RawExtension" },
  json: { type: "open", goType: "v1.JSON" },
  fieldsV1: { type: "open", goType: "v1.FieldsV1" },
};
const schemaOr = { schemaOrArray: "schemas", schemaOrBool: "bool", schemaOrStringArray: "strings" } as const;
const schemaProps = "apiextensions.v1.JSONSchemaProps";

/** `core.v1.Pod` → `v1.Pod`. */
const goName = (name: string): string => name.slice(name.indexOf(".") + 1);
const inner = (type: string): string => type.slice(type.indexOf("<") + 1, -1);

function shapeOf(type: string, extras: NonNullable<FieldRow[3]>): Shape {
  if (type.startsWith("ref:")) return structureOf(type.slice(4), extras.mt);
  if (type.startsWith("list<") || type.startsWith("wlist<")) {
    const item = shapeOf(inner(type), extras.en === undefined ? {} : { en: extras.en });
    const kind = extras.lt === "map" || extras.lt === "set" ? extras.lt : "atomic";
    return { is: "list", item, kind, keys: (extras.lk ?? []).toSorted(), goType: `[]${item.goType}` };
  }
  if (type.startsWith("map<")) {
    const item = shapeOf(inner(type), {});
    return { is: "map", item, atomic: extras.mt === "atomic", goType: `map[string]${item.goType}` };
  }
  if (type in schemaOr) {
    const or = schemaOr[type as keyof typeof schemaOr];
    return { is: "schemaOr", schema: structureOf(schemaProps), or, goType: "v1.JSONSchemaProps" };
  }
  const scalar = scalars[type];
  assert(scalar !== undefined, `the schema table has no type ${type}`);
  const goType = extras.en !== undefined && scalar.type === "string" ? goName(extras.en) : scalar.goType;
  return { is: "scalar", type: scalar.type, goType };
}

function fieldFrom(name: string, [type, , flags = "", extras = {}]: FieldRow): Field {
  const field = {
    name,
    shape: shapeOf(type, extras),
    pointer: flags.includes("p"),
    always: flags.includes("a"),
  };
  return extras.def === undefined ? field : { ...field, default: extras.def };
}

const structs = new Map<string, StructShape>();

/**
 * The structure of a type of the table. Fields are compiled when they are first read, because types may hold
 * themselves. `mapType` is what the field that refers to it says, which wins over the type's own word.
 */
export function structureOf(name: string, mapType?: string): StructShape {
  const row = schema.types[name];
  assert(row !== undefined, `the schema table has no type ${name}`);
  const atomic = (mapType ?? row.mt) === "atomic";
  const id = `${name} ${atomic}`;
  const known = structs.get(id);
  if (known) return known;
  let fields: readonly Field[] | undefined;
  let byName: ReadonlyMap<string, Field> | undefined;
  const struct: StructShape = {
    is: "struct",
    name,
    goType: goName(name),
    atomic,
    get fields() {
      fields ??= Object.entries(row.f).map(([field, facts]) => fieldFrom(field, facts));
      return fields;
    },
    get byName() {
      byName ??= new Map(struct.fields.map((field) => [field.name, field]));
      return byName;
    },
  };
  structs.set(id, struct);
  return struct;
}

/** The struct that a value of `shape` is or, for a list or map, that its items are. */
export function structIn(shape: Shape): StructShape | undefined {
  if (shape.is === "list" || shape.is === "map") return structIn(shape.item);
  return shape.is === "struct" ? shape : undefined;
}

/** The structure of a kind's objects. */
export const structureOfKind = (kind: Kind): StructShape => structureOf(kind.type);
