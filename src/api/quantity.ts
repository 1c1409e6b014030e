import { MalformedValue } from "./malformed.ts";

/**
 * An amount, exact to a billionth: `nanos` is the value times 10^9, rounded away from zero. `form` is the family of
 * suffixes that it was written in, which its canonical text keeps.
 */
export type Quantity = { nanos: bigint; form: "binary" | "decimal" | "exponent" };

const giga = 1_000_000_000n;
const binary: Record<string, bigint> = {
  Ki: 2n ** 10n,
  Mi: 2n ** 20n,
  Gi: 2n ** 30n,
  Ti: 2n ** 40n,
  Pi: 2n ** 50n,
  Ei: 2n ** 60n,
};
const decimal: Record<string, number> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const decimalSuffix = new Map(Object.entries(decimal).map(([suffix, power]) => [power, suffix]));
const largest = 2n ** 63n - 1n;

const wrongForm = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/** Longer texts are no amounts of anything, only work. */
const lettersMax = 256;

const divideUp = (value: bigint, by: bigint): bigint => (value + by - 1n) / by;

/** The value of sign, digits and suffix, or undefined when the suffix is none. */
function scaled(whole: string, fraction: string, suffix: string): Quantity | undefined {
  const digits = BigInt(whole + fraction);
  const factor = binary[suffix];
  if (factor !== undefined) {
    return { nanos: divideUp(digits * factor * giga, 10n ** BigInt(fraction.length)), form: "binary" };
  }
  const exponent = /^[eE]([+-]?\d+)$/.exec(suffix);
  const power = exponent ? Number(exponent[1]) : decimal[suffix];
  if (power === undefined || Math.abs(power) > 400) return undefined;
  const shift = power + 9 - fraction.length;
  const nanos = shift >= 0 ? digits * 10n ** BigInt(shift) : divideUp(digits, 10n ** BigInt(-shift));
  return { nanos, form: exponent ? "exponent" : "decimal" };
}

/** @throws MalformedValue in Kubernetes' words when `text` is no quantity. */
export function parseQuantity(text: string): Quantity {
  const match = text.length > lettersMax ? null : /^([+-]?)(\d*)(?:\.(\d*))?([a-zA-Z]*(?:[-+]?\d+)?)$/.exec(text);
  const [, sign = "", whole = "", fraction = "", suffix = ""] = match ?? [];
  if (!match || (whole === "" && fraction === "")) throw new MalformedValue(wrongForm);
  const quantity = scaled(whole, fraction, suffix);
  if (!quantity)
    throw new MalformedValue(
      /^[eEinumkKMGTP]*[-+]?\d*$/.test(suffix) ? "unable to parse quantity's suffix" : wrongForm,
    );
  const capped = quantity.nanos > largest * giga ? largest * giga : quantity.nanos;
  return { nanos: sign === "-" ? -capped : capped, form: quantity.form };
}

/** How Kubernetes prints it: no fraction, the largest suffix that loses nothing, the family that it was written in. */
export function printQuantity({ nanos, form }: Quantity): string {
  if (nanos === 0n) return "0";
  const small = nanos > -1024n * giga && nanos < 1024n * giga;
  if (form === "binary" && !small && nanos % giga === 0n) {
    let [value, suffix] = [nanos / giga, ""];
    for (const next of Object.keys(binary)) {
      if (value % 1024n !== 0n) break;
      value /= 1024n;
      suffix = next;
    }
    return `${value}${suffix}`;
  }
  let [value, power] = [nanos, -9];
  while (value % 1000n === 0n && power < 18) {
    value /= 1000n;
    power += 3;
  }
  if (form === "exponent") return power === 0 ? `${value}` : `${value}e${power}`;
  return `${value}${decimalSuffix.get(power) ?? ""}`;
}

const canonicalTexts = new Map<string, string>();
const canonicalTextsMax = 4096;

/**
 * The canonical text of a quantity. With `milli`, finer amounts are rounded up to a thousandth, as everything in a
 * list of resources is.
 */
export function canonicalQuantity(text: string, milli = false): string {
  const id = milli ? `${text} m` : text;
  const known = canonicalTexts.get(id);
  if (known !== undefined) return known;
  const { nanos, form } = parseQuantity(text);
  const million = 1_000_000n;
  const rest = nanos % million;
  const rounded = rest === 0n || !milli ? nanos : nanos - rest + (nanos > 0n ? million : -million);
  const printed = printQuantity({ nanos: rounded, form });
  if (canonicalTexts.size >= canonicalTextsMax) canonicalTexts.clear();
  canonicalTexts.set(id, printed);
  return printed;
}

const ceiling = (nanos: bigint, unit: bigint): number => Number(nanos > 0n ? divideUp(nanos, unit) : nanos / unit);

/** Thousandths of a CPU, rounded up; absent is 0. */
export const cpuMillis = (quantity: string | undefined): number =>
  quantity === undefined ? 0 : ceiling(parseQuantity(quantity).nanos, 1_000_000n);

/** Whole bytes (or any other whole unit), rounded up; absent is 0. Exact up to 2^53. */
export const bytes = (quantity: string | undefined): number =>
  quantity === undefined ? 0 : ceiling(parseQuantity(quantity).nanos, giga);

/** Negative, zero or positive, as `left` is less than, equal to or more than `right`. */
export function compareQuantities(left: string, right: string): number {
  const difference = parseQuantity(left).nanos - parseQuantity(right).nanos;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}
