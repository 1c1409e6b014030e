import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type KubectlVersion, kubectl } from "../clients/kubectl.ts";

export type Result = { code: number | null; out: string; err: string };

/** Runs a command to its end, `timeoutMs` at most; its process group is killed then. */
export async function run(
  argv: readonly string[],
  o: { env?: NodeJS.ProcessEnv; input?: string; timeoutMs?: number } = {},
): Promise<Result> {
  const [program = "", ...words] = argv;
  const child = spawn(program, words, { env: { ...process.env, ...o.env }, detached: true });
  const result = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    result.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    result.err += chunk;
  });
  child.stdin.on("error", () => undefined); // It may end without reading.
  child.stdin.end(o.input ?? "");
  const timer = setTimeout(() => killGroup(child), o.timeoutMs ?? 60_000);
  const [code] = await once(child, "close");
  clearTimeout(timer);
  return { code, ...result };
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}

const builtMain = join(import.meta.dirname, "../../dist/cli/main.js");

/** A home of drover's for one test, and drover in it as a user would run it. */
export class DroverHome {
  readonly folder = mkdtempSync(join(tmpdir(), "dr-"));
  readonly env = { DROVER_HOME: this.folder, KUBECONFIG: join(this.folder, "kubeconfig"), HOME: this.folder };
  /** The drover that is run. */
  main = builtMain;
  #server: ChildProcess | undefined;

  drover(words: readonly string[], timeoutMs = 60_000, env: NodeJS.ProcessEnv = {}): Promise<Result> {
    return run([process.execPath, this.main, ...words], { env: { ...this.env, ...env }, timeoutMs });
  }

  /** Starts `drover serve` and waits for its ready line. */
  async serve(...words: readonly string[]): Promise<void> {
    const all = [this.main, "serve", "--port", "0", "--kubeconfig", this.env.KUBECONFIG, ...words];
    const child = spawn(process.execPath, all, {
      env: { ...process.env, ...this.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#server = child;
    let said = "";
    child.stderr.on("data", (chunk) => {
      said += chunk;
    });
    await new Promise<void>((resolve, reject) => {
      child.stdout.once("data", () => resolve());
      child.once("exit", (code) => reject(new Error(`drover serve ended with ${code}: ${said}`)));
    });
  }

  /** Ends the server as Ctrl-C does and returns its exit code. */
  async stop(signal: NodeJS.Signals = "SIGINT"): Promise<number | null> {
    const child = this.#server;
    this.#server = undefined;
    if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null;
    const closed = once(child, "exit");
    child.kill(signal);
    const [code] = await closed;
    return code;
  }

  /** A kubectl of this version in this home. */
  async kubectl(
    version: KubectlVersion,
    words: string | readonly string[],
    input?: string,
    timeoutMs = 60_000,
  ): Promise<Result> {
    const argv = [await kubectl(version), ...(typeof words === "string" ? words.split(" ") : words)];
    return run(argv, { env: this.env, timeoutMs, ...(input !== undefined && { input }) });
  }

  async close(): Promise<void> {
    await this.stop("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
