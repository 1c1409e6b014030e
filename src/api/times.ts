import { parseTimeMs, rfc3339 } from "../base/clock.ts";
import { MalformedValue } from "./malformed.ts";

/** The layout's parts in order, as Go names them in its complaints, with what a text must have there. */
const dateParts: readonly [string, RegExp][] = [
  ["2006", /^\d{4}/],
  ["-", /^-/],
  ["01", /^\d\d/],
  ["-", /^-/],
  ["02", /^\d\d/],
  ["T", /^T/],
  ["15", /^\d\d/],
  [":", /^:/],
  ["04", /^\d\d/],
  [":", /^:/],
  ["05", /^\d\d/],
];
const zone: [string, RegExp] = ["Z07:00", /^(Z|[+-]\d\d:\d\d)/];

/** Why `text` does not have the layout, in the words of Go. */
function complaint(text: string, layout: string, micro: boolean): string {
  let rest = text;
  const parts = micro ? [...dateParts, [".000000", /^\.\d{6}/] as const, zone] : [...dateParts, zone];
  for (const [name, form] of parts) {
    if (name === "Z07:00" && !micro) rest = rest.replace(/^\.\d+/, "");
    const match = form.exec(rest);
    if (!match) return `parsing time "${text}" as "${layout}": cannot parse "${rest}" as "${name}"`;
    rest = rest.slice(match[0].length);
  }
  if (rest !== "") return `parsing time "${text}": extra text: "${rest}"`;
  return `parsing time "${text}": day out of range`;
}

const timeForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const canonicalTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const microForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/;

/** A Time as Kubernetes writes it: UTC, whole seconds. */
export function canonicalTimeText(text: string): string {
  const ms = timeForm.test(text) ? parseTimeMs(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new MalformedValue(complaint(text, "2006-01-02T15:04:05Z07:00", false));
  return canonicalTime.test(text) ? text : rfc3339(Math.floor(ms / 1000) * 1000);
}

/** A MicroTime as Kubernetes writes it: UTC, six digits of a second, which it also insists on. */
export function canonicalMicroTimeText(text: string): string {
  const ms = microForm.test(text) ? parseTimeMs(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new MalformedValue(complaint(text, "2006-01-02T15:04:05.000000Z07:00", true));
  if (text.endsWith("Z")) return text;
  return rfc3339(Math.floor(ms / 1000) * 1000).replace("Z", `${text.slice(19, 26)}Z`);
}

const unitSeconds: Record<string, number> = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, µs: 1e-6, ns: 1e-9 };

/** A Duration as Go prints it: `1h0m0s`, `1.5s`, `15ms`. */
export function canonicalDurationText(text: string): string {
  const match = /^([+-]?)((?:\d+(?:\.\d*)?(?:h|ms|us|µs|ns|m|s))+)$/.exec(text);
  if (text === "0") return "0s";
  if (!match) throw new MalformedValue(`time: invalid duration ${JSON.stringify(text)}`);
  let seconds = 0;
  for (const [, amount, unit = ""] of (match[2] ?? "").matchAll(/([\d.]+)(h|ms|us|µs|ns|m|s)/g)) {
    seconds += Number(amount) * (unitSeconds[unit] ?? 0);
  }
  return (match[1] === "-" && seconds > 0 ? "-" : "") + durationText(seconds);
}

const trimmed = (value: number, digits: number): string => value.toFixed(digits).replace(/\.?0+$/, "");

function durationText(seconds: number): string {
  if (seconds === 0) return "0s";
  if (seconds < 1e-6) return `${trimmed(seconds * 1e9, 1)}ns`;
  if (seconds < 1e-3) return `${trimmed(seconds * 1e6, 3)}µs`;
  if (seconds < 1) return `${trimmed(seconds * 1e3, 6)}ms`;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = `${trimmed(seconds % 60, 9) || "0"}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
