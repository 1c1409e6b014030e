import { DroverError } from "../base/errors.ts";

/** What every command ends with: 0 done, 1 failed, 2 wrong usage. */
export const exitCodeOf = (error: unknown): number => (error instanceof DroverError && error.code === "USAGE" ? 2 : 1);
