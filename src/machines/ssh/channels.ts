import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { MessagePort } from "node:worker_threads";
import type { Client, ClientChannel } from "ssh2";
import { type Clock, systemClock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { ExecControl, ExecEnd, Task } from "./messages.ts";
import { portStream } from "./port-stream.ts";

const agentSocket = "/run/drover/agent.sock";
const answerMs = 30_000;
const answerBytesMax = 64 * 1024;

const lost = (message: string, cause?: unknown): DroverError => new DroverError("BOX_UNREACHABLE", message, {}, cause);

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
    case "ask": {
      const channel = await openAgent(client);
      await request(channel, task.line).finally(() => channel.close());
      return;
    }
    case "read": {
      const channel = await openAgent(client);
      await request(channel, task.line).catch((error: unknown) => {
        channel.close();
        throw error;
      });
      join(channel, task.data);
      return;
    }
    case "connect":
      join(await openPort(client, task.port), task.data);
      return;
    case "exec":
      return await execute(client, task);
  }
}

/** Sends one line, reads the one that answers it, and leaves what follows in the channel. */
export async function request(channel: Duplex, line: string, clock: Clock = systemClock): Promise<void> {
  const given = new AbortController();
  const expire = clock.sleep(answerMs, given.signal).then(
    () => channel.destroy(lost("The machine's agent did not answer in time.")),
    () => undefined,
  );
  try {
    channel.write(`${line}\n`);
    const answer = await firstLine(channel);
    const { error } = JSON.parse(answer) as { error?: { code: string; message: string } };
    if (error) throw new DroverError(error.code === "BOX_TAKEN" ? "BOX_TAKEN" : "BOX_REFUSED", error.message);
  } finally {
    given.abort();
    await expire;
  }
}

async function firstLine(channel: Duplex): Promise<string> {
  let seen = Buffer.alloc(0);
  for (;;) {
    const chunk: Buffer | null = channel.read();
    if (chunk) {
      seen = Buffer.concat([seen, chunk]);
      const stop = seen.indexOf("\n");
      if (stop >= 0) {
        if (stop + 1 < seen.byteLength) channel.unshift(seen.subarray(stop + 1));
        return seen.subarray(0, stop).toString();
      }
      if (seen.byteLength > answerBytesMax) throw lost("The machine's agent answered nonsense.");
      continue;
    }
    if (channel.readableEnded || channel.destroyed) throw lost("The connection to the machine's agent was closed.");
    await readable(channel);
  }
}

const readable = (channel: Duplex): Promise<void> =>
  new Promise((resolve, reject) => {
    const done = (error?: Error) => {
      for (const event of ["readable", "end", "close"]) channel.off(event, done);
      channel.off("error", done);
      if (error) reject(error instanceof DroverError ? error : lost("The connection to the machine was lost.", error));
      else resolve();
    };
    for (const event of ["readable", "end", "close"]) channel.once(event, () => done());
    channel.once("error", done);
  });

const openPort = (client: Client, port: number): Promise<ClientChannel> =>
  new Promise((resolve, reject) => {
    client.forwardOut("127.0.0.1", 0, "127.0.0.1", port, (error, channel) => {
      if (error) reject(lost(`Nothing accepts connections on port ${port} of the machine: ${error.message}.`, error));
      else resolve(channel);
    });
  });

/** Both ways until both ends have ended; a failure of one side is the other's end. */
function join(channel: ClientChannel, port: MessagePort): void {
  const far = portStream(port);
  pipeline(channel, far, channel).catch(() => {
    far.destroy();
    channel.close();
  });
}

async function execute(client: Client, task: Task & { kind: "exec" }): Promise<void> {
  const options = task.tty ? { pty: { term: "xterm-256color", rows: 24, cols: 80 } } : {};
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    client.exec(task.command, options, (error, opened) => {
      if (error) reject(lost(`The machine runs no command: ${error.message}.`, error));
      else resolve(opened);
    });
  });
  const far = portStream(task.data);
  const errors = portStream(task.errors);
  const flows = [pipeline(channel, far, { end: true }), pipeline(channel.stderr, errors)];
  pipeline(far, channel).catch(() => channel.close());
  task.control.on("message", ({ columns, rows }: ExecControl) => channel.setWindow(rows, columns, 0, 0));
  let exitCode: number | undefined;
  channel.on("exit", (code: number | null) => {
    exitCode = code ?? 137;
  });
  channel.on("close", () => {
    void Promise.allSettled(flows).then(() => {
      const end: ExecEnd = exitCode === undefined ? {} : { exitCode };
      task.control.postMessage(end);
      task.control.close();
    });
  });
}
