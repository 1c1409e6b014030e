import { DroverError } from "../base/errors.ts";

/** How a command speaks: results on stdout, everything else on stderr, colours and redrawing on a terminal only. */
export type Terminal = {
  out(line: string): void;
  say(line: string): void;
  /** Redraws these lines in place on a terminal; elsewhere prints those that changed. */
  live(lines: readonly string[]): void;
  /** Leaves the live lines where they are and goes on below them. */
  settle(): void;
  strong(text: string): string;
  faint(text: string): string;
};

export function terminal(): Terminal {
  const fancy = process.stderr.isTTY === true && process.env["NO_COLOR"] === undefined;
  const code = (number: number) => (text: string) => (fancy ? `\u001b[${number}m${text}\u001b[0m` : text);
  let shown: readonly string[] = [];
  const write = (text: string) => process.stderr.write(text);
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    say: (line) => void write(`${line}\n`),
    live(lines) {
      if (fancy) {
        // A line that wraps would make the next redraw begin too low. Some terminals say 0.
        const width = (process.stderr.columns || 80) - 1;
        const up = shown.length === 0 ? "" : `\u001b[${shown.length}A\u001b[J`;
        write(`${up}${lines.map((line) => `${line.slice(0, width)}\n`).join("")}`);
      } else {
        for (const [index, line] of lines.entries())
          if (withoutTimes(line) !== withoutTimes(shown[index])) write(`${line}\n`);
      }
      shown = lines;
    },
    settle() {
      shown = [];
    },
    strong: code(1),
    faint: code(2),
  };
}

/** Elapsed seconds alone are no news where every line stays. */
const withoutTimes = (line = ""): string => line.replace(/\d+ s\b/g, "");

/** One line for what failed, one for the way out. A bug shows its stack. */
export function explain(error: unknown): string {
  if (error instanceof DroverError)
    return `error: ${error.message}\n  ${error.advice().hint} (${error.code}, docs/errors.md)`;
  return error instanceof Error ? `error: ${error.stack ?? error.message}` : `error: ${String(error)}`;
}

/** A table with columns as wide as their widest cell, as kubectl prints one. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>(
    (found, row) => row.map((cell, index) => Math.max(found[index] ?? 0, cell.length)),
    [],
  );
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join("   ")
      .trimEnd(),
  );
}
