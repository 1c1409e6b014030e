import type { MessagePort } from "node:worker_threads";
import type { ErrorCode } from "../../base/errors.ts";
import type { Contact } from "../../clouds/box.ts";
import type { Reach } from "./reach.ts";

/** What the thread of the connections is started with. */
export type ThreadSettings = {
  reach: Reach;
  privateKey: string;
  port: number;
  /** Trust the first key that a machine shows whose console tells none. */
  acceptNewHostKeys: boolean;
};

/** A machine to keep in touch with, once it has an address. */
export type Followed = { id: string; address: string };

/** `prepare`: the line that asks the agent for the command; without `stdin` that reads nothing, except from a terminal. */
export type ShellCommand = { prepare: string; tty: boolean; stdin: boolean };

/** Something to do on a machine over its connection. */
export type Task =
  /** One line to the agent and its answer. */
  | { kind: "ask"; line: string }
  /** One line to the agent, its answer, and the bytes that follow on `data`. */
  | { kind: "read"; line: string; data: MessagePort }
  /** A command of root's shell. `control` carries resizes one way, the exit code the other. */
  | ({ kind: "exec"; data: MessagePort; errors: MessagePort; control: MessagePort } & ShellCommand)
  | { kind: "connect"; port: number; data: MessagePort };

export type ToThread =
  /** These machines and no others. */
  | { type: "follow"; machines: readonly Followed[] }
  | { type: "fingerprints"; machineId: string; fingerprints: readonly string[] }
  | { type: "task"; id: number; machineId: string; task: Task }
  /** The port of this computer's loopback on which the API listens; machines are given a way to it. */
  | { type: "apiPort"; port: number }
  | { type: "close" };

type Failure = { code: ErrorCode; message: string };

export type FromThread =
  | { type: "contact"; machineId: string; contact: Contact }
  /** The machine's host key must be known before a connection is tried. `refused`: of the key that it showed. */
  | { type: "fingerprintsWanted"; machineId: string; refused?: string }
  | { type: "trusted"; machineId: string; fingerprint: string }
  | { type: "done"; id: number; failure?: Failure }
  | { type: "closed" };

export type ExecControl = { columns: number; rows: number };
/** Without `exitCode` the connection was lost. */
export type ExecEnd = { exitCode?: number };
