import type { BoundProbe } from "../box.ts";

/** What a simulated process does, read from its command as a shell would: no command serves for ever. */
export type Program = { exitAfterMs: number; exitCode: number };

const forever: Program = { exitAfterMs: Number.POSITIVE_INFINITY, exitCode: 0 };

/** Images under these words are not to be had, so that a wrong reference can be tried out. */
export const imageMissing = (image: string): boolean => /does-not-exist|no-such|missing|invalid/.test(image);

export function programOf({ command, args }: { command?: readonly string[]; args?: readonly string[] }): Program {
  const words = [...(command ?? []), ...(args ?? [])];
  const script = /(^|\/)(ba|da|a)?sh$/.test(words[0] ?? "") && words[1] === "-c" ? (words[2] ?? "") : words.join(" ");
  if (script === "") return forever;
  let afterMs = 0;
  for (const statement of script.split(/;|&&|\n/).map((text) => text.trim())) {
    const [name = "", argument = ""] = statement.split(/\s+/);
    if (name === "sleep") afterMs += argument.startsWith("inf") ? Number.POSITIVE_INFINITY : Number(argument) * 1_000;
    else if (name === "exit") return { exitAfterMs: afterMs, exitCode: Number(argument) || 0 };
    else if (name === "false") return { exitAfterMs: afterMs, exitCode: 1 };
    else if (!["true", "echo", "date", "hostname", "env", "printf", ""].includes(name)) return forever;
  }
  return { exitAfterMs: afterMs, exitCode: 0 };
}

/** Paths answer as their name says: `/status/503` with 503, `/never` with 404, everything else with 200. */
export function httpStatus(path: string): number {
  const code = /^\/status\/(\d{3})/.exec(path)?.[1];
  if (code !== undefined) return Number(code);
  return path.startsWith("/never") ? 404 : 200;
}

/** Whether a probe of a running simulated container passes. */
export function probePasses({ action }: BoundProbe): boolean {
  if (action.kind === "http") {
    const status = httpStatus(action.path);
    return status >= 200 && status < 400;
  }
  if (action.kind !== "exec") return true;
  return programOf({ command: action.command }).exitCode === 0;
}
