import { PassThrough } from "node:stream";
import { type Clock, rfc3339 } from "../../base/clock.ts";
import type { ExecRequest, ExecSession } from "../box.ts";

/** What a command on a simulated machine can see. */
export type Surface = { clock: Clock; hostname: string; env: readonly [string, string][] };

/** Runs `command` with the few words a simulated machine knows; another word is not found (127), as in a shell. */
export function execOn(surface: Surface, request: ExecRequest, signal: AbortSignal): ExecSession {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const streams = { stdin, stdout, stderr };
  const exit = run(surface, statementsOf(request.command), streams, signal).then((exitCode) => {
    stdout.end();
    stderr.end();
    return { exitCode };
  });
  const close = () => {
    for (const stream of Object.values(streams)) stream.destroy();
  };
  return { ...streams, resize: () => {}, exit, close };
}

/** `sh -c "a; b && c"` is taken apart; without a command a shell reads its lines from stdin. */
function statementsOf(command: readonly string[]): readonly (readonly string[])[] | "stdin" {
  const shell = /(^|\/)(ba|da|a)?sh$/.test(command[0] ?? "");
  if (shell && command.length === 1) return "stdin";
  if (!shell || command[1] !== "-c") return [command];
  return (command[2] ?? "").split(/;|&&|\n/).map((text) =>
    text
      .trim()
      .split(/\s+/)
      .map((word) => word.replace(/^(["'])(.*)\1$/, "$2")),
  );
}

type Streams = { stdin: PassThrough; stdout: PassThrough; stderr: PassThrough };

async function run(
  surface: Surface,
  statements: readonly (readonly string[])[] | "stdin",
  streams: Streams,
  signal: AbortSignal,
): Promise<number> {
  if (statements !== "stdin") return runAll(surface, statements, streams, signal);
  let exitCode = 0;
  for await (const line of streams.stdin) {
    const words = statementsOf(["sh", "-c", String(line).trim()]);
    if (words === "stdin") continue;
    exitCode = await runAll(surface, words, streams, signal);
    if (words.some(([name]) => name === "exit")) break;
  }
  return exitCode;
}

async function runAll(
  surface: Surface,
  statements: readonly (readonly string[])[],
  streams: Streams,
  signal: AbortSignal,
): Promise<number> {
  let exitCode = 0;
  for (const [name = "", ...words] of statements) {
    if (name === "exit") return Number(words[0] ?? exitCode) || 0;
    exitCode = await runOne(surface, name, words, streams, signal);
  }
  return exitCode;
}

async function runOne(
  { clock, hostname, env }: Surface,
  name: string,
  words: readonly string[],
  streams: Streams,
  signal: AbortSignal,
): Promise<number> {
  const print = (text: string) => streams.stdout.write(`${text}\n`);
  const expand = (word: string) =>
    word.replace(/\$(\w+)/g, (_, key: string) => env.find(([each]) => each === key)?.[1] ?? "");
  if (name === "" || name === "true") return 0;
  if (name === "false") return 1;
  if (name === "echo") print(words.map(expand).join(" "));
  else if (name === "hostname") print(hostname);
  else if (name === "env") for (const [key, value] of env) print(`${key}=${value}`);
  else if (name === "date") print(rfc3339(clock.wallMs()));
  else if (name === "sleep") await clock.sleep(Number(words[0] ?? 0) * 1_000, signal);
  else if (name === "cat" && words.length === 0) for await (const chunk of streams.stdin) streams.stdout.write(chunk);
  else {
    streams.stderr.write(`${name}: not found on a simulated machine\n`);
    return 127;
  }
  return 0;
}
