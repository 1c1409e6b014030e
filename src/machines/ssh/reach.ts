import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { systemClock } from "../../base/clock.ts";
import { lost, readLine } from "./line.ts";
import type { Followed } from "./messages.ts";

/**
 * The way to the machines: straight; through a unix socket that takes `IP PORT\n`, answers `OK\n` or `ERR reason\n`
 * and is that TCP connection from then on; or through a program whose standard input and output are the connection, as
 * OpenSSH's ProxyCommand: `%h` stands for the address, `%p` for the port, `%i` for the machine's id, `%%` for a percent.
 */
export type Reach = { kind: "tcp" } | { kind: "unix"; path: string } | { kind: "command"; command: string };

/** @throws BOX_UNREACHABLE; after `timeoutMs` without a connection, too */
export async function openSocket(reach: Reach, machine: Followed, port: number, timeoutMs: number): Promise<Duplex> {
  if (reach.kind === "command") return runProxy(fillIn(reach.command, machine, port));
  const { address } = machine;
  const socket = reach.kind === "tcp" ? connect({ host: address, port, noDelay: true }) : connect({ path: reach.path });
  const given = new AbortController();
  void systemClock.sleep(timeoutMs, given.signal).then(
    () => socket.destroy(new Error("it does not answer")),
    () => undefined,
  );
  socket.on("error", () => undefined);
  try {
    if (reach.kind === "tcp") await once(socket, "connect");
    else await passDialer(socket, address, port);
    return socket;
  } catch (error) {
    socket.destroy();
    throw lost(`${address}:${port} can't be reached: ${error instanceof Error ? error.message : error}`, error);
  } finally {
    given.abort();
  }
}

async function passDialer(socket: Socket, address: string, port: number): Promise<void> {
  socket.write(`${address} ${port}\n`);
  const answer = await readLine(socket);
  if (answer !== "OK") throw new Error(answer.replace(/^ERR /, ""));
}

/** The values go into a shell's line: ids and addresses of another form than a provider gives are not let in. */
function fillIn(command: string, { id, address }: Followed, port: number): string {
  const values: Record<string, string> = { "%h": address, "%p": String(port), "%i": id, "%%": "%" };
  if (!/^[\w.:-]*$/.test(`${id}${address}`)) throw lost(`The machine ${id} has an address that no command is given.`);
  return command.replaceAll(/%[hpi%]/g, (sign) => values[sign] ?? sign);
}

/** A program that has closed its output has so long to say why. */
const lastWordsMs = 300;

/** The program's end is the connection's end, and the other way round; what it says on stderr is why. */
function runProxy(command: string): Duplex {
  const child = spawn("/bin/sh", ["-c", `exec ${command}`], { stdio: ["pipe", "pipe", "pipe"] });
  const [input, output] = [new PassThrough(), new PassThrough()];
  // A pipe that breaks says nothing; the program does, at its end.
  child.stdin.on("error", () => undefined);
  input.pipe(child.stdin);
  child.stdout.pipe(output, { end: false });
  const stream = Duplex.from({ readable: output, writable: input });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-500);
  });
  child.on("error", (error) => stream.destroy(error));
  // It may go on without anybody to talk to.
  child.stdout.once("end", () => void systemClock.sleep(lastWordsMs).then(() => output.end()));
  child.on("close", (code) => {
    if (code === 0) output.end();
    else stream.destroy(lost(`\`${command}\` ended with ${code ?? "a signal"}: ${said.trim()}`));
  });
  stream.on("error", () => undefined);
  stream.once("end", () => stream.destroy());
  stream.on("close", () => child.kill());
  return stream;
}
