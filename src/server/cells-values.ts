import { parseTimeMs } from "../base/clock.ts";

/** What a Table cell shows of one object. `nowMs`: wall time, for ages. */
export type Cell = (object: unknown, nowMs: number) => unknown;

const steps = new Map<string, readonly string[]>();

/** `spec.ports`, `status.podIPs[0].ip`; paths come from the code and the column table, so they are few. */
function stepsOf(path: string): readonly string[] {
  const known = steps.get(path);
  if (known) return known;
  const fresh = path.split(/\.|\[|\]\.?/).filter((key) => key !== "");
  steps.set(path, fresh);
  return fresh;
}

/** The value at a path; undefined where a part of it is absent. */
export function at(value: unknown, path: string): unknown {
  let found = value;
  for (const key of stepsOf(path)) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Record<string, unknown>)[key];
  }
  return found ?? undefined;
}

export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const entries = (value: unknown): [string, unknown][] =>
  typeof value === "object" && value !== null ? Object.entries(value) : [];
/** Absent as "". */
export const text = (value: unknown): string => (value === undefined || value === null ? "" : String(value));
/** Absent as 0. */
export const number = (value: unknown): number => (typeof value === "number" ? value : 0);
/** Absent and "" as `fallback`. */
export const textOr = (value: unknown, fallback: string): string => text(value) || fallback;

/** The text at `path` of each item of `items`, joined. */
export const joined = (items: unknown, path: string, separator = ","): string =>
  list(items)
    .map((item) => text(at(item, path)))
    .join(separator);

/** The first `shownMax` texts and how many more there are. */
export function firstOf(texts: readonly string[], shownMax: number, separator = ","): string {
  const more = texts.length > shownMax ? ` + ${texts.length - shownMax} more...` : "";
  return texts.slice(0, shownMax).join(separator) + more;
}

/** The condition of a type in a list of conditions. */
export const conditionOf = (conditions: unknown, type: string): unknown =>
  list(conditions).find((condition) => at(condition, "type") === type);

/** How long ago, as in the Age column: `5s`, `3m20s`, `2d3h`, `<unknown>` for no time. */
export function since(time: unknown, nowMs: number): string {
  if (typeof time !== "string" || time === "") return "<unknown>";
  const timeMs = parseTimeMs(time);
  return Number.isNaN(timeMs) ? "<unknown>" : duration(Math.trunc((nowMs - timeMs) / 1000));
}

const parts = (units: number, name: string, rest: number, restName: string): string =>
  rest === 0 ? `${units}${name}` : `${units}${name}${rest}${restName}`;

/** A duration in at most two units. `seconds`: whole; a clock that is up to a second behind counts as now. */
export function duration(seconds: number): string {
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  const days = Math.floor(hours / 24);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return parts(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  if (hours < 8) return parts(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  if (hours < 192) return parts(days, "d", hours % 24, "h");
  if (days < 730) return `${days}d`;
  return days < 2920 ? parts(Math.floor(days / 365), "y", days % 365, "d") : `${Math.floor(days / 365)}y`;
}

/** `a=b,c=d`, sorted; `<none>` without any. */
export const labels = (map: unknown): string =>
  entries(map)
    .sort(byKey)
    .map(([key, value]) => `${key}=${text(value)}`)
    .join(",") || "<none>";

const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : a > b ? 1 : 0);

/** A label selector as `kubectl get -l` would take it; "" when it selects everything or is absent. */
export function selectorText(selector: unknown): string {
  const terms = entries(at(selector, "matchLabels")).map(([key, value]): [string, string] => [
    key,
    `${key}=${text(value)}`,
  ]);
  for (const expression of list(at(selector, "matchExpressions"))) {
    const key = text(at(expression, "key"));
    const values = list(at(expression, "values")).map(text).sort().join(",");
    switch (at(expression, "operator")) {
      case "In":
        terms.push([key, `${key} in (${values})`]);
        break;
      case "NotIn":
        terms.push([key, `${key} notin (${values})`]);
        break;
      case "Exists":
        terms.push([key, key]);
        break;
      default:
        terms.push([key, `!${key}`]);
    }
  }
  return terms
    .sort(byKey)
    .map(([, term]) => term)
    .join(",");
}
