import { quoteForShell } from "../../src/machines/escape.ts";

/** The program and its words on a terminal of their own, as a person has one; it ends with their exit code. */
export const onTerminal = (words: readonly string[]): [string, ...string[]] => [
  "script",
  "-qec",
  words.map(quoteForShell).join(" "),
  "/dev/null",
];
