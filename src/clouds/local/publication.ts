import { createHash } from "node:crypto";

/** A Service that is to be reached from the computer itself. */
export type Publication = {
  id: string;
  listeners: readonly { port: number; socketPath: string }[];
  /** The address it had before, if any. */
  preferred?: string;
};

/** A Service that is reached there. */
export type Published = { id: string; listeners: Publication["listeners"]; address: string };

const candidatesMax = 32;

/**
 * Loopback addresses for a Service, best first: the one it had, then those that follow from its id, so that it keeps
 * its address over restarts. All in 127.64.0.0/10, away from what other programs use.
 */
export function publicationAddresses(id: string, preferred: string | undefined): string[] {
  const drawn = Array.from({ length: candidatesMax }, (_, attempt) => {
    const [first = 0, second = 0, third = 0] = createHash("sha256").update(`${id} ${attempt}`).digest();
    return `127.${64 + (first % 64)}.${second}.${1 + (third % 254)}`;
  });
  return [...new Set([...(preferred === undefined ? [] : [preferred]), ...drawn])];
}
