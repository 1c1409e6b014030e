import { execFile } from "node:child_process";
import { searchPath } from "./search-path.ts";

export type Ran = { exitCode: number; stdout: string; stderr: string };

/**
 * Runs a program to its end, `input` as its standard input. Never rejects: a program that can't be started or takes
 * longer than `timeoutMs` has exit code -1 and the reason in `stderr`. At most 4 MiB of output are kept.
 */
export const run = (argv: readonly string[], input = "", timeoutMs = 20_000): Promise<Ran> =>
  new Promise((resolve) => {
    const [program = "", ...words] = argv;
    const env = { ...process.env, PATH: searchPath() };
    const options = { timeout: timeoutMs, maxBuffer: 4 << 20, killSignal: "SIGKILL", cwd: "/", env } as const;
    const child = execFile(program, words, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ exitCode: 0, stdout, stderr });
      const exitCode = typeof error.code === "number" ? error.code : -1;
      resolve({ exitCode, stdout, stderr: exitCode === -1 ? `${stderr}${error.message}` : stderr });
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
