import { spawn } from "node:child_process";
import { DroverError } from "../../base/errors.ts";
import { hostPackages } from "./packages.ts";
import { searchPath } from "./search-path.ts";

const tailLinesMax = 20;

/**
 * Runs a program of the computer to its end and resolves with what it printed. `onLine` sees each line of its standard
 * error as it comes. An abort kills it together with everything it started.
 * @throws SETUP_MISSING where the program isn't installed, CLOUD_UNAVAILABLE with the last lines where it failed
 */
export function runTool(
  argv: readonly string[],
  o: { signal?: AbortSignal; cwd?: string; env?: Record<string, string>; onLine?: (line: string) => void } = {},
): Promise<string> {
  const [program = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    o.signal?.throwIfAborted();
    const env = { ...process.env, PATH: searchPath(), LC_ALL: "C.UTF-8", ...o.env };
    const child = spawn(program, args, { cwd: o.cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const stop = () => endGroup(child.pid);
    o.signal?.addEventListener("abort", stop, { once: true });
    let out = "";
    let rest = "";
    const tail: string[] = [];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split(/[\r\n]+/);
      rest = lines.pop() ?? "";
      for (const line of lines) o.onLine?.(line);
      tail.push(...lines);
      tail.splice(0, tail.length - tailLinesMax);
    });
    child.on("error", (error) => reject(missing(program, error)));
    child.on("close", (code, signal) => {
      o.signal?.removeEventListener("abort", stop);
      if (o.signal?.aborted) return reject(o.signal.reason);
      if (code === 0) return resolve(out);
      const text = [...tail, rest].join("\n").trim();
      reject(new DroverError("CLOUD_UNAVAILABLE", `${program} ended with ${code ?? signal}: ${text}`, { program }));
    });
  });
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function missing(program: string, cause: unknown): DroverError {
  const names = hostPackages.map(({ name }) => name).join(" ");
  const how = `apt-get install --no-install-recommends ${names}`;
  return new DroverError("SETUP_MISSING", `${program} can't be started; run as root: ${how}`, { program }, cause);
}
