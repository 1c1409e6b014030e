import { type FieldType, fieldType } from "../api/field-type.ts";
import { type FieldRow, schema, type TypeRow } from "../api/kinds.ts";
import { assert } from "../base/assert.ts";

type Json = Record<string, unknown>;
type Extras = NonNullable<FieldRow[3]>;

const apimachinery = "io.k8s.apimachinery.pkg";
const extensions = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

/** Types that are one JSON value: their names in OpenAPI, and what they are there. */
const specials: Readonly<Record<string, [name: string, schema: Json]>> = {
  quantity: [`${apimachinery}.api.resource.Quantity`, { oneOf: [{ type: "string" }, { type: "number" }] }],
  intOrString: [
    `${apimachinery}.util.intstr.IntOrString`,
    { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] },
  ],
  time: [`${apimachinery}.apis.meta.v1.Time`, { type: "string", format: "date-time" }],
  microTime: [`${apimachinery}.apis.meta.v1.MicroTime`, { type: "string", format: "date-time" }],
  duration: [`${apimachinery}.apis.meta.v1.Duration`, { type: "string" }],
  rawExtension: [`${apimachinery}.runtime.RawExtension`, { type: "object" }],
  fieldsV1: [`${apimachinery}.apis.meta.v1.FieldsV1`, { type: "object" }],
  json: [`${extensions}.JSON`, {}],
  schemaOrArray: [`${extensions}.JSONSchemaPropsOrArray`, {}],
  schemaOrBool: [`${extensions}.JSONSchemaPropsOrBool`, {}],
  schemaOrStringArray: [`${extensions}.JSONSchemaPropsOrStringArray`, {}],
};

const plain: Readonly<Record<string, Json>> = {
  string: { type: "string" },
  bytes: { type: "string", format: "byte" },
  bool: { type: "boolean" },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  double: { type: "number", format: "double" },
};
const zeros: Readonly<Record<string, unknown>> = { string: "", bool: false, int32: 0, int64: 0, double: 0 };

/** `core.v1.Pod` → `io.k8s.api.core.v1.Pod`. */
function schemaName(type: string): string {
  const dot = type.lastIndexOf(".");
  const found = schema.packages[type.slice(0, dot)];
  assert(found, `the schema table has no package for ${type}`);
  return `${found.openapi}.${type.slice(dot + 1)}`;
}

export const referenceTo = (type: string): Json => ({ $ref: `#/components/schemas/${schemaName(type)}` });

/**
 * The schemas of these types and of all that they are made of, by name. `groups`: `group/version` that the objects
 * without a group of their own, such as DeleteOptions, are said to be of.
 */
export function schemasOf(types: Iterable<string>, groupVersions: readonly [string, string][]): Json {
  const found = new Map<string, Json>();
  const queue = [...new Set(types)];
  const seen = new Set(queue);
  for (let type = queue.pop(); type !== undefined; type = queue.pop()) {
    const row = schema.types[type];
    assert(row, `the schema table has no type ${type}`);
    const use: Use = {
      type: (name) => {
        if (!seen.has(name)) queue.push(name);
        seen.add(name);
      },
      special: (name, value) => found.set(name, value),
    };
    found.set(schemaName(type), structSchema(row, use, groupVersions));
  }
  return Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Told about everything that a schema refers to. */
type Use = { type: (name: string) => void; special: (name: string, schema: Json) => void };

function structSchema(row: TypeRow, use: Use, groupVersions: readonly [string, string][]): Json {
  const fields = Object.entries(row.f);
  const required = fields.filter(([, [, , flags = ""]]) => flags.includes("r")).map(([name]) => name);
  return {
    type: "object",
    ...(fields.length > 0 && {
      properties: Object.fromEntries(fields.map(([name, field]) => [name, fieldSchema(field, use)])),
    }),
    ...(required.length > 0 && { required }),
    ...(row.k && { "x-kubernetes-group-version-kind": kindsOf(row.k, groupVersions) }),
    ...(row.mt !== undefined && { "x-kubernetes-map-type": row.mt }),
    ...(row.un !== undefined && { "x-kubernetes-unions": row.un }),
  };
}

function kindsOf([apiVersion, kind]: [string, string], groupVersions: readonly [string, string][]): object[] {
  if (apiVersion === "*") return groupVersions.map(([group, version]) => ({ group, version, kind }));
  const [version = "", group = ""] = apiVersion.split("/").reverse();
  return [{ group, version, kind }];
}

function fieldSchema([type, , flags = "", extras = {}]: FieldRow, use: Use): Json {
  const parsed = fieldType(type);
  const value = typeSchema(parsed, extras, use);
  const isPointer = flags.includes("p");
  const words = {
    ...defaultOf(parsed, extras, isPointer, flags.includes("a")),
    ...(extras.lt !== undefined && { "x-kubernetes-list-type": extras.lt }),
    ...(extras.lk !== undefined && { "x-kubernetes-list-map-keys": extras.lk }),
    ...(extras.mt !== undefined && { "x-kubernetes-map-type": extras.mt }),
    ...(extras.mk !== undefined && { "x-kubernetes-patch-merge-key": extras.mk }),
    ...(extras.ps !== undefined && { "x-kubernetes-patch-strategy": extras.ps }),
  };
  return beside(value, words);
}

/** Nothing may stand beside a `$ref`, so it goes into an `allOf`, in fields even when it is alone. */
const beside = (value: Json, words: Json): Json =>
  "$ref" in value ? { allOf: [value], ...words } : { ...value, ...words };

function defaultOf(type: FieldType, extras: Extras, isPointer: boolean, isAlways: boolean): Json {
  if (extras.def !== undefined) return { default: extras.def };
  if (isPointer) return {};
  if (type.is === "ref") return { default: {} };
  return type.is === "scalar" && isAlways && type.name in zeros ? { default: zeros[type.name] } : {};
}

function typeSchema(type: FieldType, extras: Extras, use: Use): Json {
  switch (type.is) {
    case "ref":
      use.type(type.to);
      return referenceTo(type.to);
    case "list":
    case "wireList":
      return { type: "array", items: itemSchema(type.of, extras, use) };
    case "map":
      return { type: "object", additionalProperties: itemSchema(type.of, extras, use) };
    case "scalar":
      return scalarSchema(type.name, extras.en, use);
  }
}

function itemSchema(type: FieldType, { en }: Extras, use: Use): Json {
  const value = typeSchema(type, en === undefined ? {} : { en }, use);
  if (type.is === "ref") return beside(value, { default: {} });
  return type.is === "scalar" && type.name in zeros ? { ...value, default: zeros[type.name] } : value;
}

function scalarSchema(name: string, enumKey: string | undefined, use: Use): Json {
  const closed = enumKey === undefined ? undefined : schema.enums[enumKey];
  const simple = plain[name];
  if (simple) return closed?.e === 1 ? { ...simple, enum: [...closed.v].sort() } : simple;
  const special = specials[name];
  assert(special, `the schema table has a type ${name} that has no schema`);
  if (name.startsWith("schemaOr")) use.type("apiextensions.v1.JSONSchemaProps");
  use.special(...special);
  return { $ref: `#/components/schemas/${special[0]}` };
}
