import { AwsError } from "./errors.ts";

type Numbered = { serial: number };

/**
 * The next page of things in the order in which they were made. The token is the last serial number given, so that
 * what is added or removed between two pages shifts nothing.
 */
export function pageOf<T extends Numbered>(
  things: readonly T[],
  sizeMax: number,
  token: string | undefined,
): { page: readonly T[]; next?: string } {
  const after = token === undefined ? -1 : serialOf(token);
  const rest = things.filter(({ serial }) => serial > after).sort((a, b) => a.serial - b.serial);
  const page = rest.slice(0, sizeMax);
  const last = page.at(-1);
  return last !== undefined && rest.length > page.length ? { page, next: tokenOf(last.serial) } : { page };
}

const tokenOf = (serial: number): string => Buffer.from(`after ${serial}`).toString("base64url");

function serialOf(token: string): number {
  const serial = /^after (\d+)$/.exec(Buffer.from(token, "base64url").toString())?.[1];
  if (serial === undefined) throw new AwsError("InvalidNextToken", `The token '${token}' is invalid.`);
  return Number(serial);
}
