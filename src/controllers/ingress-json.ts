/** The AWS Load Balancer Controller's annotations that hold JSON: its keys in any case, and what is wrong in words. */

/** What is wrong with an annotation, to be completed by its name. */
export class Refused extends Error {}

/** Thrown words become a result; other errors are none of an annotation's. */
export function attempt<Result>(annotation: string, parse: () => Result): Result | { problem: string } {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Refused) return { problem: `${annotation}: ${error.message}` };
    throw error;
  }
}

export type Fields = Readonly<Record<string, unknown>>;

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The object with its own keys in lower case. */
export const loweredHere = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).map(([key, one]) => [key.toLowerCase(), one]));

/** The value with all its keys in lower case. */
export function lowered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(lowered);
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(loweredHere(value)).map(([key, one]) => [key, lowered(one)]));
}

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused("it is not JSON");
  }
}

export const fieldsOf = (value: unknown, name: string): Fields => {
  if (isFields(value)) return value;
  throw new Refused(`${name} is missing`);
};

export const textOf = (value: unknown): string | undefined =>
  typeof value === "string" || typeof value === "number" ? String(value) : undefined;

export function wholeNumber(value: unknown, name: string, from: number, to: number): number {
  const text = textOf(value) ?? "";
  if (/^\d{1,6}$/.test(text) && Number(text) >= from && Number(text) <= to) return Number(text);
  throw new Refused(`${name} must be a whole number from ${from} to ${to}, not ${text || "nothing"}`);
}
