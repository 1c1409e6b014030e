import { type ChildProcess, execFile, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import type { PoolOptions, PoolRunnerInitializer, PoolWorker } from "vitest/node";

/** Of moto's default VPC. Whoever is in the namespace may listen at each of its addresses. */
const vpc = "172.31.0.0/16";
const enter = `PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && ip route add local ${vpc} dev lo && exec "$0" "$@"`;
const killAfterMs = 5_000;

/** Words that run the program which follows them in a network namespace of its own. */
function inNamespace(): string[] {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  return ["unshare", ...user, "--net", "--", "sh", "-c", enter];
}

/** @throws why there are no namespaces here */
export async function checkNamespace(): Promise<void> {
  const [program = "", ...words] = inNamespace();
  await promisify(execFile)(program, [...words, "true"]);
}

/** A test file's process as vitest starts it, with moto, drover, kubectl and the instances beside it in its namespace. */
class NamespaceWorker implements PoolWorker {
  readonly name = "namespace";
  readonly cacheFs = true;
  readonly #options: PoolOptions;
  #child: ChildProcess | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { distPath, env, execArgv } = this.#options;
    const [execPath, ...words] = inNamespace();
    this.#child ??= fork(join(distPath, "workers/forks.js"), [], {
      env,
      execPath,
      execArgv: [...words, process.execPath, ...execArgv],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      serialization: "advanced",
    });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill();
    const timer = setTimeout(() => child.kill("SIGKILL"), killAfterMs);
    await ended;
    clearTimeout(timer);
  }

  on: PoolWorker["on"] = (event, callback) => void this.#child?.on(event, callback);
  off: PoolWorker["off"] = (event, callback) => void this.#child?.off(event, callback);
  send: PoolWorker["send"] = (message) => void this.#child?.send(message);
  deserialize: PoolWorker["deserialize"] = (data) => data;
}

/** Runs each test file in a network namespace of its own. */
export const namespacePool: PoolRunnerInitializer = {
  name: "namespace",
  createPoolWorker: (options) => new NamespaceWorker(options),
};
