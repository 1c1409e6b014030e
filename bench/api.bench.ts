// The API over TLS, measured from outside: drover serve with its store on disk, and the load generator in `bench/load`,
// which sends any Kubernetes API server the same requests. One JSON line a figure. Needs Go; without it nothing is
// measured, and that is said. Run it on a quiet computer: both sides share its cores.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { kubectl } from "../test/clients/kubectl.ts";

const podCount = Number(process.env["PODS"] ?? 10_000);
const watcherCounts = [100, 1_000];
const loadSecondsMax = 600;
const root = process.cwd();

const print = (figure: string, value: number, unit: string) =>
  console.log(JSON.stringify({ server: "drover", figure, value: Number(value.toPrecision(4)), unit }));

/** A drover of its own on a free port; resolves when it says that it is ready. */
async function serve(folder: string): Promise<{ child: ChildProcess; kubeconfig: string; readyMs: number }> {
  const kubeconfig = join(folder, "kubeconfig");
  const options = ["--cloud", "sim", "--port", "0", "--data", join(folder, "data"), "--kubeconfig", kubeconfig];
  const startMs = performance.now();
  const program = [join(root, "bin/drover.mjs"), "serve", ...options, "--log-level", "error"];
  const child = spawn(process.execPath, program, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface(child.stdout)) {
    if (/ready/.test(line)) return { child, kubeconfig, readyMs: performance.now() - startMs };
  }
  throw new Error("drover serve ended before it was ready");
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  await once(child, "exit");
}

async function load(generator: string, kubeconfig: string, pid: number, more: readonly string[]): Promise<void> {
  const options = [
    "-name",
    "drover",
    "-kubeconfig",
    kubeconfig,
    "-kubectl",
    await kubectl("1.33"),
    "-pids",
    String(pid),
  ];
  const child = spawn(generator, [...options, ...more], { stdio: "inherit", timeout: loadSecondsMax * 1_000 });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`the load generator ended with ${code}`);
}

async function measure(folder: string): Promise<void> {
  const generator = join(folder, "load");
  const built = spawnSync("go", ["build", "-o", generator, "."], { cwd: join(root, "bench/load"), stdio: "inherit" });
  if (built.error !== undefined || built.status !== 0) {
    console.log(
      JSON.stringify({ skipped: "the API under load", reason: "Go is not there, or could not build bench/load" }),
    );
    return;
  }
  let { child, kubeconfig, readyMs } = await serve(folder);
  try {
    print("serve to ready, empty", readyMs, "ms");
    for (const [index, watchers] of watcherCounts.entries()) {
      const pods = index === 0 ? podCount : 16;
      const space = ["-namespace", `load-${watchers}`, "-pods", String(pods), "-watchers", String(watchers)];
      await load(generator, kubeconfig, child.pid ?? 0, space);
    }
    await stop(child);
    ({ child, readyMs } = await serve(folder));
    print("serve to ready, with what the load left", readyMs, "ms");
  } finally {
    await stop(child);
  }
}

const folder = mkdtempSync(join(tmpdir(), "drover-bench-"));
try {
  await measure(folder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
