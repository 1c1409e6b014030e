import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { DroverError } from "../../base/errors.ts";
import type { ExecRequest, ExecSession } from "../../clouds/box.ts";
import type { ExecControl, ExecEnd, ShellCommand, Task } from "./messages.ts";
import { portStream } from "./port-stream.ts";

/** Asks the agent for what runs `request` inside its container, or attaches to the container's main process. */
export function execCommand({ container, command, stdin, tty }: ExecRequest): ShellCommand {
  if (command.some((word) => word.includes("\0")))
    throw new DroverError("BOX_REFUSED", "A command may not hold a NUL.");
  return { prepare: JSON.stringify({ op: "exec", container, command, stdin, tty }), tty, stdin };
}

/** Starts a command and resolves once it runs. @throws what `perform` throws */
export async function openSession(
  command: ShellCommand,
  signal: AbortSignal,
  perform: (task: Task, ports: readonly MessagePort[]) => Promise<void>,
): Promise<ExecSession> {
  const [data, errors, control] = [new MessageChannel(), new MessageChannel(), new MessageChannel()];
  const stream = portStream(data.port1);
  const stderr = portStream(errors.port1);
  const exit = new Promise<{ exitCode: number }>((resolve, reject) => {
    const lost = () => reject(new DroverError("BOX_UNREACHABLE", "The connection was lost before the command ended."));
    control.port1.on("message", ({ exitCode }: ExecEnd) => (exitCode === undefined ? lost() : resolve({ exitCode })));
    control.port1.on("close", lost);
  });
  exit.catch(() => undefined);
  const close = () => {
    stream.destroy();
    stderr.destroy();
    control.port1.close();
  };
  signal.addEventListener("abort", close, { once: true });
  const ports = [data.port2, errors.port2, control.port2];
  const task: Task = {
    kind: "exec",
    ...command,
    data: data.port2,
    errors: errors.port2,
    control: control.port2,
  };
  await perform(task, ports).catch((error: unknown) => {
    close();
    throw error;
  });
  // Who has read all of stdout closes it, and must not close stdin with it.
  const stdout = new PassThrough();
  stdout.on("error", () => undefined);
  pipeline(stream, stdout).catch(() => undefined);
  return {
    stdin: stream,
    stdout,
    stderr,
    resize: (columns, rows) => control.port1.postMessage({ columns, rows } satisfies ExecControl),
    exit,
    close,
  };
}
