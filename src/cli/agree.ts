import { createInterface } from "node:readline/promises";
import { DroverError } from "../base/errors.ts";
import type { Terminal } from "./print.ts";

/** Asks for a yes unless it was given beforehand. `refused`: what is said after a no. @throws USAGE: nobody can be asked, or no */
export async function agree(io: Terminal, question: string, yes: boolean, refused: string): Promise<void> {
  if (yes) return;
  if (process.stdin.isTTY !== true) throw new DroverError("USAGE", "Nobody can be asked here: say --yes.");
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question(`${question} [y/N] `);
  lines.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new DroverError("USAGE", refused);
  io.say("");
}
