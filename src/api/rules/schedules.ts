const names = (text: string): Record<string, number> =>
  Object.fromEntries(text.split(" ").map((name, index) => [name, index]));
const months = names(". jan feb mar apr may jun jul aug sep oct nov dec");
const days = names("sun mon tue wed thu fri sat");

type Bounds = { min: number; max: number; names?: Record<string, number> };
const fields: readonly Bounds[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: months },
  { min: 0, max: 6, names: days },
];

function numberOf(text: string, { names: known }: Bounds): number | string {
  const named = known?.[text.toLowerCase()];
  if (named !== undefined) return named;
  if (/^\d+$/.test(text)) return Number(text);
  return `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
}

/** Why `text` is no part (`*`, `5`, `1-5`, each with `/step`) of a field, or undefined. */
function partProblem(text: string, bounds: Bounds): string | undefined {
  const [range = "", step, ...more] = text.split("/");
  if (more.length > 0) return `too many slashes: ${text}`;
  const [low = "", high, ...rest] = range.split("-");
  if (rest.length > 0) return `too many hyphens: ${text}`;
  const isAny = low === "*" || low === "?";
  const start = isAny ? bounds.min : numberOf(low, bounds);
  if (typeof start === "string") return start;
  const end = isAny ? bounds.max : high === undefined ? start : numberOf(high, bounds);
  if (typeof end === "string") return end;
  const every = step === undefined ? 1 : numberOf(step, { min: 0, max: 0 });
  if (typeof every === "string") return every;
  if (start < bounds.min) return `beginning of range (${start}) below minimum (${bounds.min}): ${text}`;
  if (end > bounds.max) return `end of range (${end}) above maximum (${bounds.max}): ${text}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${text}`;
  return every === 0 ? `step of range should be a positive number: ${text}` : undefined;
}

const shorthands = new Set(["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"]);

/** Why `text` is no schedule in the form of cron, in the words of Kubernetes' parser; undefined when it is one. */
export function scheduleProblem(text: string): string | undefined {
  const bare = text.replace(/^(?:CRON_)?TZ=\S+\s+/, "").trim();
  if (bare.startsWith("@")) {
    if (shorthands.has(bare.slice(1))) return undefined;
    const period = /^@every (.*)$/.exec(bare)?.[1];
    if (/^@every (\d+(\.\d+)?(h|m|s|ms|us|µs|ns))+$/.test(bare)) return undefined;
    if (period !== undefined) {
      return `failed to parse duration ${bare}: time: invalid duration ${JSON.stringify(period)}`;
    }
    return `unrecognized descriptor: ${bare}`;
  }
  const given = bare === "" ? [] : bare.split(/\s+/);
  if (given.length !== fields.length) {
    return `expected exactly 5 fields, found ${given.length}: [${given.join(" ")}]`;
  }
  for (const [index, bounds] of fields.entries()) {
    for (const part of given[index]?.split(",") ?? []) {
      const problem = partProblem(part, bounds);
      if (problem) return problem;
    }
  }
  return undefined;
}

/** Why a name is no time zone, or undefined. */
export function timeZoneProblem(name: string): string | undefined {
  if (name === "") return "timeZone must be nil or non-empty string";
  if (name.toLowerCase() === "local") {
    return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
  }
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    // Files of time zones are found by their exact names, here by any spelling.
    return /^[a-z]/.test(name) ? `unknown time zone ${name}` : undefined;
  } catch {
    return `unknown time zone ${name}`;
  }
}
