import { readFileSync } from "node:fs";
import type { Resource } from "./object.ts";

/** Facts of the schema table (`data/schema.json`, see its README for the letters) in the form the code reads. */
export type FieldRow = [
  type: string,
  number: number | [number, number],
  flags?: string,
  extras?: { lt?: string; lk?: string[]; mt?: string; mk?: string; ps?: string; en?: string; def?: unknown },
];
export type TypeRow = { f: Record<string, FieldRow>; k?: [string, string]; mt?: string; un?: unknown; g?: 1; pb?: 0 };

/** One kind in one version, as discovery tells it. */
export type Kind = {
  group: string;
  version: string;
  kind: string;
  /** `v1`, `apps/v1`. */
  apiVersion: string;
  /** Name of the type in the table, e.g. `apps.v1.Deployment`. */
  type: string;
  listKind: string;
  plural: string;
  singular: string;
  shortNames: readonly string[];
  categories: readonly string[];
  namespaced: boolean;
  verbs: readonly string[];
  subresources: Readonly<Record<string, { kind: string; verbs: readonly string[] }>>;
  /** `pods`, `deployments.apps`. */
  resource: Resource;
};

type KindRow = {
  type: string;
  list?: string;
  plural: string;
  singular?: string;
  short?: string[];
  cat?: string[];
  ns?: boolean;
  verbs?: string[];
  sub?: Record<string, [string, string[]]>;
};
type SchemaTable = {
  kubernetes: string;
  packages: Record<string, { openapi: string; proto: string; apiVersion: string }>;
  enums: Record<string, { v: string[]; e?: 1 }>;
  kinds: Record<string, KindRow>;
  types: Record<string, TypeRow>;
};

export const schema: SchemaTable = JSON.parse(readFileSync(new URL("./data/schema.json", import.meta.url), "utf8"));

const resourceOf = (group: string, plural: string): Resource => (group === "" ? plural : `${plural}.${group}`);

function kindFrom(id: string, row: KindRow): Kind {
  const slash = id.lastIndexOf("/");
  const [apiVersion, kind] = [id.slice(0, slash), id.slice(slash + 1)];
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const subresources = Object.entries(row.sub ?? {}).map(([name, [of, verbs]]) => [name, { kind: of, verbs }] as const);
  return {
    group: group ?? "",
    version: version ?? "",
    kind,
    apiVersion,
    type: row.type,
    listKind: (row.list ?? `${kind}List`).split(".").pop() ?? "",
    plural: row.plural,
    singular: row.singular ?? "",
    shortNames: row.short ?? [],
    categories: row.cat ?? [],
    namespaced: row.ns ?? false,
    verbs: row.verbs ?? [],
    subresources: Object.fromEntries(subresources),
    resource: resourceOf(group ?? "", row.plural),
  };
}

/** Every kind of the table, by `apiVersion/Kind`. */
export const kinds: ReadonlyMap<string, Kind> = new Map(
  Object.entries(schema.kinds).map(([id, row]) => [id, kindFrom(id, row)]),
);
