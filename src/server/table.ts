import { readFileSync } from "node:fs";
import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { parseQuantity, printQuantity } from "../api/quantity.ts";
import { assert } from "../base/assert.ts";
import { networkCells } from "./cells-network.ts";
import { objectCells } from "./cells-objects.ts";
import { podReady, podRestarts, podRowConditions, podStatus, readinessGates } from "./cells-pods.ts";
import { at, type Cell, entries, joined, labels, list, selectorText, text, textOr } from "./cells-values.ts";
import { workloadCells } from "./cells-workloads.ts";

type ColumnRow = [name: string, type: string, format: string, priority: number, cell: string];
type KindColumns = { cols: ColumnRow[]; as?: string; extraCells?: string[] };
type ColumnData = {
  kinds: Record<string, KindColumns>;
  default: ColumnRow[];
  cellJSON: Record<string, string | Record<string, string>>;
};
const data: ColumnData = JSON.parse(readFileSync(new URL("../api/data/columns.json", import.meta.url), "utf8"));

const named: Readonly<Record<string, Cell>> = {
  ...networkCells,
  ...objectCells,
  ...workloadCells,
  podReady,
  podStatus,
  podRestarts,
  "len(spec.readinessGates)==0?<none>:count(gate: status.conditions[type==gate.conditionType].status==True)/len(spec.readinessGates)":
    readinessGates,
};

/** `includeObject`: how much of each object its row carries. `withColumns`: false for all but a watch's first event. */
export type TableOptions = {
  includeObject: "None" | "Metadata" | "Object";
  /** Wall time, for ages. */
  nowMs: number;
  /** Of the list, or of the one object. */
  resourceVersion?: string;
  continue?: string;
  remainingItemCount?: number;
  withColumns: boolean;
  version?: "v1" | "v1beta1";
};

/** The objects as kubectl's columns, all priorities, as a `Table` of `meta.k8s.io`. */
export function tableFor(kind: Kind, objects: readonly KubeObject[], options: TableOptions): object {
  const id = `${kind.apiVersion}/${kind.kind}`;
  const apiVersion = `meta.k8s.io/${options.version ?? "v1"}`;
  const columns = columnsOf(id, objects);
  const { resourceVersion, continue: token, remainingItemCount } = options;
  const metadata = {
    ...(resourceVersion !== undefined && { resourceVersion }),
    ...(token !== undefined && token !== "" && { continue: token }),
    ...(remainingItemCount !== undefined && { remainingItemCount }),
  };
  const rows = objects.map((object) => {
    const conditions = id === "v1/Pod" ? podRowConditions(object) : undefined;
    const cells = columns.cells.map((cell) => cell(object, options.nowMs));
    return { cells, ...(conditions && { conditions }), object: rowObject(object, options.includeObject, apiVersion) };
  });
  const columnDefinitions = options.withColumns ? columns.definitions : null;
  return { kind: "Table", apiVersion, metadata, columnDefinitions, rows };
}

function rowObject(object: KubeObject, include: TableOptions["includeObject"], apiVersion: string): object | null {
  if (include === "None") return null;
  return include === "Object" ? object : { kind: "PartialObjectMetadata", apiVersion, metadata: object.metadata };
}

type Columns = { definitions: object[]; cells: Cell[] };
const known = new Map<string, Columns>();

function columnsOf(id: string, objects: readonly KubeObject[]): Columns {
  const columns = known.get(id);
  if (columns) return columns;
  const row = data.kinds[id];
  const rows = row?.cols ?? data.default;
  if (rows.some(([name]) => name === "<resource>")) return compiled(id, withResources(rows, objects));
  const fresh = compiled(id, rows);
  fresh.cells.push(...(row?.extraCells ?? []).map((cell) => cellFor(cell, "string")));
  known.set(id, fresh);
  return fresh;
}

function compiled(id: string, rows: readonly ColumnRow[]): Columns {
  const kind = id.slice(id.lastIndexOf("/") + 1);
  const jsonTypes = data.cellJSON[id] ?? data.cellJSON[data.kinds[id]?.as ?? ""];
  const definitions = rows.map(([name, type, format, priority]) => {
    const description = `${name} of the ${kind}, as its column shows it.`;
    return { name, type, format, description, priority };
  });
  const cells = rows.map(([name, type, , , cell]) =>
    cellFor(original(id, name, cell), (typeof jsonTypes === "object" ? jsonTypes[name] : undefined) ?? type),
  );
  return { definitions, cells };
}

/** The older autoscaler shows the newer one's columns, with the one metric that it has in fields of its own. */
function original(id: string, name: string, cell: string): string {
  if (cell !== "as autoscaling/v2") return cell;
  if (name === "Targets") return "hpaTargets v1";
  const row = data.kinds[data.kinds[id]?.as ?? ""]?.cols.find(([other]) => other === name);
  assert(row, `the column table has no ${name} to show for ${id}`);
  return row[4];
}

/** One column for every resource that the first of the metrics speaks of. */
function withResources(rows: readonly ColumnRow[], [first]: readonly KubeObject[]): ColumnRow[] {
  const usage = at(first, "usage") ?? at(first, "containers[0].usage");
  const names = entries(usage)
    .map(([name]) => name)
    .sort();
  return rows.flatMap((row) =>
    row[0] === "<resource>" ? names.map((name): ColumnRow => [name, "string", "quantity", 0, `usage ${name}`]) : [row],
  );
}

/** @throws AssertionFailed when the column table speaks of a cell that nothing here shows */
function cellFor(expression: string, type: string): Cell {
  const own = named[expression];
  if (own) return own;
  const [, path, fallback] = /^([\w.[\]]+)(?:\|(.*))?$/.exec(expression) ?? [];
  if (path !== undefined) return pathCell(path, fallback, type);
  const [, call, inner = ""] = /^(\w+)\((.*)\)(?:\|<none>)?$/.exec(expression) ?? [];
  switch (call) {
    case "len": {
      const paths = expression.split("+").map((part) => part.slice("len(".length, -1));
      return (object) => paths.reduce((sum, one) => sum + entries(at(object, one)).length, 0);
    }
    case "join": {
      const [items = "", separator = "", field = ""] = inner.split('"').map((part, index) => {
        return index === 1 ? part : part.replace(/^,|,$/g, "");
      });
      const none = expression.endsWith("|<none>") ? "<none>" : "";
      return (object) => textOr(joined(at(object, items), field, separator), none);
    }
    case "labels":
      return (object) => labels(at(object, inner));
    case "selector":
      return (object) => selectorText(at(object, inner)) || "<none>";
    case "selectorRaw":
      return (object) => selectorText(at(object, inner));
  }
  assert(expression.startsWith("usage "), `the column table has a cell ${expression} that nothing shows`);
  return (object) => usageOf(object, expression.slice("usage ".length));
}

/** A Node's usage, or the sum over a Pod's containers. */
function usageOf(object: unknown, resource: string): string {
  const of = (holder: unknown) => text(entries(at(holder, "usage")).find(([name]) => name === resource)?.[1]);
  if (at(object, "usage") !== undefined) return of(object);
  const [first, ...rest] = list(at(object, "containers")).map((container) => parseQuantity(of(container) || "0"));
  if (!first) return "";
  return printQuantity({ ...first, nanos: rest.reduce((sum, { nanos }) => sum + nanos, first.nanos) });
}

function pathCell(path: string, fallback: string | undefined, type: string): Cell {
  const other = fallback === '""' ? "" : fallback;
  const zero = type === "boolean" ? other === "true" : type === "integer" || type === "number" ? 0 : "";
  const absent = type === "string" || (other ?? "").startsWith("<") ? (other ?? zero) : zero;
  return (object) => {
    const value = at(object, path);
    if (value === undefined || value === "") return absent;
    return type === "string" ? text(value) : value;
  };
}
