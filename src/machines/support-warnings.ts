import { isObject, type JsonObject, own } from "../api/json-values.ts";
import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { type FieldSupport, podFields, serviceFields } from "./support.ts";

/** The rows that may warn, by the parts of their paths. Objects are walked along it, so what is honoured costs nothing. */
type Branch = { rows: FieldSupport[]; below: Map<string, Branch> };

const emptyBranch = (): Branch => ({ rows: [], below: new Map() });

function treeOf(fields: readonly FieldSupport[]): Branch {
  const root = emptyBranch();
  for (const row of fields.filter(({ level }) => level !== "honoured")) {
    for (const path of row.paths) {
      let branch = root;
      for (const name of path.split(".")) {
        const next = branch.below.get(name) ?? emptyBranch();
        branch.below.set(name, next);
        branch = next;
      }
      branch.rows.push(row);
    }
  }
  const containers = root.below.get("containers[]");
  if (containers) root.below.set("initContainers[]", containers);
  return root;
}

const trees = { pod: treeOf(podFields), service: treeOf(serviceFields) };

type Walk = { spec: JsonObject; warnings: string[] };

function walk(branch: Branch, holder: JsonObject, at: string, around: Walk): void {
  for (const key of Object.keys(holder)) {
    const value = own(holder, key);
    const plain = branch.below.get(key) ?? branch.below.get("*");
    if (plain) {
      const path = branch.below.has(key) ? `${at}.${key}` : `${at}[${key}]`;
      judge(plain, { value, key, holder, path }, around);
      if (isObject(value)) walk(plain, value, path, around);
    }
    const each = branch.below.get(`${key}[]`);
    if (each && Array.isArray(value)) {
      for (const [index, item] of value.entries()) {
        if (isObject(item)) walk(each, item, `${at}.${key}[${index}]`, around);
      }
    }
  }
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (Array.isArray(value) && value.length === 0);

type Place = { value: unknown; key: string; holder: JsonObject; path: string };

function judge({ rows }: Branch, { path, ...place }: Place, { spec, warnings }: Walk): void {
  for (const { level, note, except, unless } of rows) {
    if (isEmpty(place.value) || except?.includes(place.value) || unless?.({ ...place, spec })) continue;
    warnings.push(`${path}: drover ${level === "refused" ? "refuses" : "ignores"} it: ${note}`);
  }
}

const inTemplate = ["spec", "template", "spec"];
/** Where Pods' specs are in the objects that Pods are made of. */
const templatePaths: Readonly<Record<string, readonly string[]>> = {
  "core.v1.Pod": ["spec"],
  "core.v1.PodTemplate": ["template", "spec"],
  "core.v1.ReplicationController": inTemplate,
  "apps.v1.Deployment": inTemplate,
  "apps.v1.ReplicaSet": inTemplate,
  "apps.v1.StatefulSet": inTemplate,
  "apps.v1.DaemonSet": inTemplate,
  "batch.v1.Job": inTemplate,
  "batch.v1.CronJob": ["spec", "jobTemplate", ...inTemplate],
};

/**
 * What drover will not do of what the object says, a text for each field: `<path>: drover ignores it: <why>`. The object
 * has been defaulted and validated.
 */
export function supportWarnings(kind: Kind, object: KubeObject): string[] {
  const path = kind.type === "core.v1.Service" ? ["spec"] : templatePaths[kind.type];
  if (!path) return [];
  const spec = path.reduce<unknown>((value, name) => (isObject(value) ? own(value, name) : undefined), object);
  if (!isObject(spec)) return [];
  const around: Walk = { spec, warnings: [] };
  walk(kind.type === "core.v1.Service" ? trees.service : trees.pod, spec, path.join("."), around);
  return around.warnings;
}
