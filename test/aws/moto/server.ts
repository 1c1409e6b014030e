import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** The stand-in for AWS' HTTP interface that the tests are written against. */
const version = "5.2.1";
const cacheFolder = fileURLToPath(new URL("../../../.cache/moto/", import.meta.url));
const startTimeoutMs = 60_000;

export type Moto = {
  /** `http://127.0.0.1:PORT`. */
  url: string;
  /** What makes the AWS SDK, the AWS CLI and Terraform talk to this server, with credentials that open nothing else. */
  env: Readonly<Record<string, string>>;
  /** Forgets everything that was made. */
  reset(): Promise<void>;
  close(): Promise<void>;
};

/**
 * Starts moto's server on a free port of 127.0.0.1. The first start on a computer may install it (some 60 MB).
 * `modulesFolder`: where Python looks for modules before all others.
 */
export async function startMoto(
  region = "us-east-1",
  env: NodeJS.ProcessEnv = {},
  modulesFolder?: string,
): Promise<Moto> {
  const { PYTHONPATH } = { ...process.env, ...(await installMoto()) };
  const folders = [modulesFolder, PYTHONPATH].filter((folder) => folder !== undefined && folder !== "");
  const modules = folders.length > 0 ? { PYTHONPATH: folders.join(":") } : {};
  const child = spawn("python3", ["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], {
    env: { ...process.env, ...modules, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const end = () => void child.kill("SIGKILL");
  process.once("exit", end);
  const url = await listening(child).catch((error: unknown) => {
    end();
    throw error;
  });
  return {
    url,
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_ACCESS_KEY_ID: "moto",
      AWS_SECRET_ACCESS_KEY: "moto",
      AWS_REGION: region,
      AWS_EC2_METADATA_DISABLED: "true",
    },
    async reset() {
      await fetch(`${url}/moto-api/reset`, { method: "POST" });
    },
    async close() {
      process.off("exit", end);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, "exit");
      end();
      await closed;
    },
  };
}

/** The address of the server's own line of welcome; it goes on talking, and nobody must make it wait. */
async function listening(child: ChildProcess): Promise<string> {
  const output = child.stderr;
  if (!output) throw new Error("moto's output is not read");
  let said = "";
  const timer = setTimeout(() => child.kill("SIGKILL"), startTimeoutMs);
  try {
    return await new Promise((resolve, reject) => {
      output.on("data", (chunk: Buffer) => {
        if (said.length < 10_000) said += chunk;
        const [address] = /http:\/\/127\.0\.0\.1:\d+/.exec(said) ?? [];
        if (address !== undefined) resolve(address);
      });
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`moto ended with ${code}: ${said.slice(-2_000)}`)));
    });
  } finally {
    clearTimeout(timer);
  }
}

const python = (env: NodeJS.ProcessEnv, ...words: readonly string[]) =>
  promisify(execFile)("python3", [...words], { env: { ...process.env, ...env } });

/** Where Python finds moto: nowhere special when the computer has this version, else a folder of the cache. */
export async function installMoto(): Promise<NodeJS.ProcessEnv> {
  const probe = `import moto, moto.server; assert moto.__version__ == "${version}"`;
  const has = (env: NodeJS.ProcessEnv) =>
    python(env, "-c", probe).then(
      () => true,
      () => false,
    );
  if (await has({})) return {};
  const folder = join(cacheFolder, version);
  const own = { PYTHONPATH: folder };
  if (existsSync(folder) && (await has(own))) return own;
  await mkdir(cacheFolder, { recursive: true });
  const scratch = await mkdtemp(join(cacheFolder, "fetch-"));
  try {
    const services = "ec2,elbv2,route53,ssm,iam,sts,server";
    await python({}, "-m", "pip", "install", "--quiet", "--target", scratch, `moto[${services}]==${version}`);
    // Of several processes that install it at once the first one stays.
    await rename(scratch, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return own;
}
