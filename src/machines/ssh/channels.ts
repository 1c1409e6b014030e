import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Client, ClientChannel } from "ssh2";
import { systemClock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { quoteForShell } from "../escape.ts";
import { lost, readLine } from "./line.ts";
import type { ExecControl, ExecEnd, ShellCommand, Task } from "./messages.ts";
import { portStream } from "./port-stream.ts";

const agentSocket = "/run/drover/agent.sock";
const answerMs = 30_000;

/** A stream to the agent. @throws BOX_UNREACHABLE while the agent does not listen */
export const openAgent = (client: Client): Promise<ClientChannel> =>
  new Promise((resolve, reject) => {
    client.openssh_forwardOutStreamLocal(agentSocket, (error, channel) => {
      if (error) reject(lost(`The machine's agent does not answer: ${error.message}.`, error));
      else resolve(channel);
    });
  });

/** Carries a task out. Resolves once it is under way, or for `ask` once it is done. */
export async function carryOut(client: Client, task: Task): Promise<void> {
  switch (task.kind) {
    case "ask":
      await ask(client, task.line);
      return;
    case "read": {
      const channel = await openAgent(client);
      await request(channel, task.line).catch((error: unknown) => {
        channel.close();
        throw error;
      });
      void join(channel, portStream(task.data));
      return;
    }
    case "connect":
      void join(await openPort(client, task.port), portStream(task.data));
      return;
    case "exec":
      return await execute(client, task);
  }
}

async function ask(client: Client, line: string): Promise<Answer> {
  const channel = await openAgent(client);
  return await request(channel, line).finally(() => channel.close());
}

type Answer = { error?: { code: string; message: string }; file?: string; command?: unknown };

/** Sends one line, reads the one that answers it, and leaves what follows in the channel. */
export async function request(channel: Duplex, line: string): Promise<Answer> {
  const given = new AbortController();
  const expire = systemClock.sleep(answerMs, given.signal).then(
    () => channel.destroy(lost("The machine's agent did not answer in time.")),
    () => undefined,
  );
  try {
    channel.write(`${line}\n`);
    const answer = JSON.parse(await readLine(channel)) as Answer;
    const { error } = answer;
    if (error) throw new DroverError(error.code === "BOX_TAKEN" ? "BOX_TAKEN" : "BOX_REFUSED", error.message);
    return answer;
  } finally {
    given.abort();
    await expire;
  }
}

const openPort = (client: Client, port: number): Promise<ClientChannel> =>
  new Promise((resolve, reject) => {
    client.forwardOut("127.0.0.1", 0, "127.0.0.1", port, (error, channel) => {
      if (error) reject(lost(`Nothing accepts connections on port ${port} of the machine: ${error.message}.`, error));
      else resolve(channel);
    });
  });

/**
 * Both ways, until the far side leaves or the channel has closed and all that it brought is handed over. Resolves then.
 * The directions end one by one: a pipeline through both would cut the slower one off.
 */
async function join(channel: ClientChannel, far: Duplex): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    channel.once("close", () => resolve());
  });
  far.on("error", () => undefined);
  far.on("close", () => {
    // Whoever leaves after both ends leaves nothing open, and closing would cut off a command's exit code.
    if (!far.writableFinished || !far.readableEnded) channel.close();
  });
  far.pipe(channel, { end: false });
  far.once("end", () => {
    // Said after the last byte without ending the stream, which would close the channel with the other side's end.
    if (channel.writable) channel.write("", () => channel.eof());
  });
  await pipeline(channel, far).catch(() => undefined);
  await closed;
  far.destroy();
}

/** The agent's way to run the command, as a line for the machine's shell; its file goes when that has ended. */
async function lineFor(client: Client, { prepare, stdin, tty }: ShellCommand): Promise<string> {
  const { file = "", command } = await ask(client, prepare);
  const words = Array.isArray(command) ? command.filter((word) => typeof word === "string") : [];
  if (words.length === 0) throw new DroverError("BOX_REFUSED", "The machine's agent knows no way to run the command.");
  const line = words.map(quoteForShell).join(" ");
  const input = stdin || tty ? "" : " </dev/null";
  return file === "" ? `exec ${line}${input}` : `${line}${input}; ended=$?; rm -f ${quoteForShell(file)}; exit $ended`;
}

async function execute(client: Client, task: Task & { kind: "exec" }): Promise<void> {
  const options = task.tty ? { pty: { term: "xterm-256color", rows: 24, cols: 80 } } : {};
  const command = await lineFor(client, task);
  let exitCode: number | undefined;
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    client.exec(command, options, (error, opened) => {
      if (error) return reject(lost(`The machine runs no command: ${error.message}.`, error));
      // Listened for at once: a command that ends quickly is told to run and to have ended in one piece.
      opened.on("exit", (code: number | null) => {
        exitCode = code ?? 137;
      });
      resolve(opened);
    });
  });
  task.control.on("message", ({ columns, rows }: ExecControl) => channel.setWindow(rows, columns, 0, 0));
  const errors = pipeline(channel.stderr, portStream(task.errors)).catch(() => undefined);
  void Promise.all([join(channel, portStream(task.data)), errors]).then(() => {
    const end: ExecEnd = exitCode === undefined ? {} : { exitCode };
    task.control.postMessage(end);
    task.control.close();
  });
}
