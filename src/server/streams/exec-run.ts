import type { Readable, Writable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { ApiError } from "../../api/status.ts";
import type { ExecSession } from "../../clouds/box.ts";
import type { Channels } from "./exec-channels.ts";

/** Connects a command with its client until it has ended and all that it wrote is sent. */
export async function runExec(channels: Channels, open: () => Promise<ExecSession>): Promise<void> {
  try {
    const session = await open();
    channels.finish(exitStatus(await converse(channels, session)));
  } catch (error) {
    channels.finish(failureStatus(error));
  }
}

async function converse(channels: Channels, session: ExecSession): Promise<number> {
  const leave = () => session.close();
  if (channels.gone.aborted) leave();
  channels.gone.addEventListener("abort", leave, { once: true });
  try {
    feed(channels.stdin, session.stdin);
    channels.resize?.on("data", resizer(session));
    const [{ exitCode }] = await Promise.all([
      session.exit,
      drain(session.stdout, channels.stdout),
      drain(session.stderr, channels.stderr),
    ]);
    return exitCode;
  } finally {
    channels.gone.removeEventListener("abort", leave);
    session.close();
  }
}

/** A command that has closed its stdin lets the client write on, into nothing. */
function feed(from: Readable | undefined, into: Writable): void {
  if (!from) {
    into.on("error", () => undefined);
    into.end();
    return;
  }
  const drop = () => {
    from.unpipe(into);
    from.resume();
  };
  into.on("error", drop);
  into.on("close", drop);
  from.pipe(into);
}

/** Until `from` has ended and everything is sent. A client that is gone ends the session elsewhere. */
async function drain(from: Readable, into: Writable | undefined): Promise<void> {
  if (into) return await pipeline(from, into).catch(() => undefined);
  from.resume();
  // It may be one end of a stream that goes both ways, and the other way is nobody's to end.
  await finished(from, { writable: false }).catch(() => undefined);
}

function resizer(session: ExecSession): (chunk: Buffer) => void {
  let text = "";
  return (chunk) => {
    text = (text + chunk.toString("utf8")).slice(-1_000);
    for (const [whole] of text.matchAll(/\{[^{}]*\}/g)) {
      const width = Number(/"Width":\s*(\d+)/.exec(whole)?.[1]);
      const height = Number(/"Height":\s*(\d+)/.exec(whole)?.[1]);
      if (width > 0 && height > 0) session.resize(width, height);
    }
    text = text.slice(text.lastIndexOf("}") + 1);
  };
}

function exitStatus(exitCode: number): string {
  if (exitCode === 0) return JSON.stringify({ metadata: {}, status: "Success" });
  return JSON.stringify({
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  });
}

function failureStatus(error: unknown): string {
  if (error instanceof ApiError) return JSON.stringify(error.status);
  const message = error instanceof Error ? error.message : String(error);
  return JSON.stringify({ metadata: {}, status: "Failure", reason: "InternalError", message, code: 500 });
}
