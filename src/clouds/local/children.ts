import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { identify, type ProcessIdentity } from "./identity.ts";

/** One process that is to run, and what becomes of it. */
export type Spawn = {
  /** Unique among the holder's processes: at most 128 characters. */
  id: string;
  argv: readonly string[];
  cwd?: string;
  /** Its output is appended here. */
  logPath: string;
  /** Run this whenever it ends without being asked to, at most once a second. Absent: it stays ended. */
  restart?: readonly string[];
  /** A process that this one takes over from: it goes on, but is not started again any more. */
  replaces?: string;
};

export type ProcessState = { id: string; pid: number; running: boolean; exitCode?: number; startedAtMs: number };

type Child = {
  wanted: Spawn;
  identity: ProcessIdentity;
  startedAtMs: number;
  /** Asked to end, or replaced. */
  dismissed: boolean;
  exitCode?: number;
};

/** How many ended processes are remembered. */
const endedMax = 500;
const restartDelayMs = 200;
const quickEndMs = 2_000;

/** The processes of one namespace. They write to files of their own and so survive the process that started them. */
export class Children {
  readonly #children = new Map<string, Child>();
  readonly #starting = new Map<string, Promise<{ pid: number }>>();
  readonly #clock: Clock;
  readonly #changed: () => void;
  #closing = false;

  /** `changed` is called after every start and end. */
  constructor(clock: Clock, changed: () => void) {
    this.#clock = clock;
    this.#changed = changed;
  }

  /** Starts a process, or returns the one that runs under this id. @throws SETUP_MISSING when it can't be started */
  start(wanted: Spawn): Promise<{ pid: number }> {
    const starting =
      this.#starting.get(wanted.id) ?? this.#start(wanted).finally(() => this.#starting.delete(wanted.id));
    this.#starting.set(wanted.id, starting);
    return starting;
  }

  async #start(wanted: Spawn): Promise<{ pid: number }> {
    const present = this.#children.get(wanted.id);
    if (present !== undefined && present.exitCode === undefined) return { pid: present.identity.pid };
    if (this.#closing) throw new DroverError("CLOUD_UNAVAILABLE", "The machines' network is being taken down.");
    const replaced = wanted.replaces === undefined ? undefined : this.#children.get(wanted.replaces);
    const child = await this.#launch(wanted, wanted.argv);
    if (replaced !== undefined) replaced.dismissed = true;
    return { pid: child.identity.pid };
  }

  async #launch(wanted: Spawn, argv: readonly string[]): Promise<Child> {
    const [program = "", ...words] = argv;
    const log = openSync(wanted.logPath, "a", 0o600);
    let spawned: ChildProcess;
    try {
      spawned = spawn(program, words, {
        cwd: wanted.cwd ?? "/",
        stdio: ["ignore", log, log],
        // A session of its own: no terminal's signal ever reaches a machine.
        detached: true,
      });
    } finally {
      closeSync(log);
    }
    await new Promise<void>((resolve, reject) => {
      spawned.once("spawn", resolve);
      spawned.once("error", (cause) =>
        reject(new DroverError("SETUP_MISSING", `${program} can't be started: ${cause.message}.`, {}, cause)),
      );
    });
    const pid = spawned.pid ?? 0;
    const child: Child = {
      wanted,
      identity: identify(pid) ?? { pid, startTicks: 0, bootId: "" },
      startedAtMs: this.#clock.wallMs(),
      dismissed: false,
    };
    this.#children.set(wanted.id, child);
    spawned.once("exit", (code, signal) =>
      this.#ended(child, code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
    this.#changed();
    return child;
  }

  #ended(child: Child, exitCode: number): void {
    child.exitCode = exitCode;
    const ended = [...this.#children.values()].filter((one) => one.exitCode !== undefined);
    for (const old of ended.slice(0, Math.max(0, ended.length - endedMax))) this.#children.delete(old.wanted.id);
    this.#changed();
    const { restart } = child.wanted;
    if (restart !== undefined && !child.dismissed && !this.#closing) void this.#restart(child, restart);
  }

  async #restart(child: Child, argv: readonly string[]): Promise<void> {
    const livedMs = this.#clock.wallMs() - child.startedAtMs;
    await this.#clock.sleep(livedMs < quickEndMs ? 1_000 : restartDelayMs);
    if (child.dismissed || this.#closing || this.#children.get(child.wanted.id) !== child) return;
    await this.#launch(child.wanted, argv).catch(() => undefined);
  }

  /** Sends a signal. TERM, KILL and USR1 (an end without haste) mean that it is not started again. */
  kill(id: string, signal: NodeJS.Signals): void {
    const child = this.#children.get(id);
    if (child === undefined) return;
    if (["SIGTERM", "SIGKILL", "SIGINT", "SIGQUIT", "SIGUSR1"].includes(signal)) child.dismissed = true;
    if (child.exitCode !== undefined) return;
    try {
      // Our own child, whose end we have not heard of: the id can't belong to another process.
      process.kill(child.identity.pid, signal);
    } catch {
      // It has just ended.
    }
  }

  states(): ProcessState[] {
    return [...this.#children.values()].map(({ wanted, identity, startedAtMs, exitCode }) => ({
      id: wanted.id,
      pid: identity.pid,
      running: exitCode === undefined,
      ...(exitCode === undefined ? {} : { exitCode }),
      startedAtMs,
    }));
  }

  /** Those that run, for whoever has to clean up after the holder. */
  identities(): (ProcessIdentity & { id: string })[] {
    return [...this.#children.values()]
      .filter((child) => child.exitCode === undefined)
      .map((child) => ({ id: child.wanted.id, ...child.identity }));
  }

  /** Ends everything: TERM, and KILL for whoever still runs after `patienceMs`. Answers with the ids that ran. */
  async endAll(patienceMs: number): Promise<string[]> {
    this.#closing = true;
    const running = this.identities().map(({ id }) => id);
    for (const id of running) this.kill(id, "SIGTERM");
    const deadlineMs = this.#clock.monotonicMs() + patienceMs;
    while (this.identities().length > 0 && this.#clock.monotonicMs() < deadlineMs) await this.#clock.sleep(20);
    for (const { id } of this.identities()) this.kill(id, "SIGKILL");
    while (this.identities().length > 0 && this.#clock.monotonicMs() < deadlineMs + 2_000) await this.#clock.sleep(20);
    return running;
  }
}
