import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { Binding, BoundContainer, BoundProbe, BoundVolume, Report } from "../../src/clouds/box.ts";
import type { ImageFamily } from "../../src/clouds/cloud.ts";
import { agentParts, agentProgram, boundParts } from "../../src/machines/agent.ts";

/** The real agent below a root of its own, with a podman that runs plain processes. */
export type TestAgent = {
  root: string;
  /** Of the stand-in: `registry`, `images`, `calls`. */
  podman: string;
  socket: string;
  env: Record<string, string>;
  /** One request, and the line that answers it. */
  ask(request: object): Promise<{ ok?: true; error?: { code: string; message: string } }>;
  /** What follows the answer of one request, until the agent closes. */
  read(request: object): Promise<string>;
  bind(binding: Binding): Promise<void>;
  /** The newest report. */
  report(): Report;
  /** Resolves with the first report that `check` accepts. */
  until(check: (report: Report) => unknown, withinMs?: number): Promise<Report>;
  /** Ends the agent alone, or everything as a power cut does, and starts the agent again. */
  restart(what: "agent" | "machine"): Promise<void>;
  volume(name: string, path: string): string;
  calls(): string[][];
};

const tools = fileURLToPath(new URL("./bin", import.meta.url));
const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const runtimeOf: Record<ImageFamily, string> = {
  debian: "podman",
  ubuntu: "podman",
  "amazon-linux": "docker",
  other: "nerdctl",
};

/** Parts whose waits are short. */
const hastened = (parts: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(parts).map(([name, source]) => [name, source.replace(/^((?:NOTICE|DEVICE)_SECONDS)=5$/m, "$1=.2")]),
  );

/** Images that the stand-in for a registry holds, by their whole names. */
const registry = {
  "docker.io/library/tool:1": { id: "a".repeat(64), cmd: ["sleep", "1000"], crun: true },
  "docker.io/library/other:latest": {
    id: "b".repeat(64),
    entrypoint: ["sh", "-c"],
    cmd: ["sleep 1000"],
    stopSignal: "SIGUSR1",
  },
  "mirror.test:5000/docker.io/library/mirrored:1": { id: "c".repeat(64), cmd: ["sleep", "1000"] },
};

export type TestAgentOptions = {
  engine?: string;
  family?: ImageFamily;
  env?: Record<string, string>;
  /** Below the agent's root, before it starts. */
  files?: Record<string, string>;
};

/** `patch`: Python that changes the agent's constants before it starts. */
export async function startAgent(patch = "", options: TestAgentOptions = {}): Promise<TestAgent> {
  const { engine = "oci", family = "debian", files: given = {} } = options;
  const root = mkdtempSync(join(tmpdir(), "box-"));
  const podman = join(root, "podman");
  const env = {
    DROVER_ROOT: root,
    FAKE_PODMAN: podman,
    PATH: `${root}/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
    ...options.env,
  };
  // One of the runtimes, as on a machine of this family; the rest is there everywhere.
  mkdirSync(join(root, "bin"));
  for (const tool of readdirSync(tools)) symlinkSync(join(tools, tool), join(root, "bin", tool));
  for (const other of ["podman", "docker", "nerdctl"]) {
    if (other !== runtimeOf[family]) rmSync(join(root, "bin", other), { force: true });
  }
  for (const [path, text] of Object.entries(given)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  writeFileSync(join(root, "agent.py"), agentProgram(agentParts(engine, family)));
  for (const folder of ["registry", "images", "containers"]) mkdirSync(join(podman, folder), { recursive: true });
  for (const [name, image] of Object.entries(registry)) {
    writeFileSync(join(podman, "registry", name.replaceAll("/", "%")), JSON.stringify(image));
  }
  mkdirSync(join(root, "proc/sys/kernel/random"), { recursive: true });
  const setBoot = (id: string) => writeFileSync(join(root, "proc/sys/kernel/random/boot_id"), `${id}\n`);
  setBoot("boot-1");
  const socket = join(root, "run/drover/agent.sock");
  let child: ChildProcess;
  let latest: Report | undefined;
  let boots = 1;

  const start = async () => {
    latest = undefined;
    const script = `import sys\nsys.dont_write_bytecode = True\nsys.path.insert(0, ${JSON.stringify(root)})\nimport agent\n${patch}\nagent.main()`;
    child = spawn("/usr/bin/python3", ["-S", "-E", "-c", script], {
      env,
      detached: true,
      stdio: ["ignore", "inherit", "inherit"],
    });
    const link = await connected(socket);
    link.write(`${JSON.stringify({ op: "watch" })}\n`);
    link.on("error", () => undefined);
    const lines = createInterface({ input: link });
    lines.on("error", () => undefined);
    lines.on("line", (line) => {
      if (line.startsWith('{"version"')) latest = JSON.parse(line);
    });
  };
  const read = async (request: object) => {
    const link = await connected(socket);
    link.end(`${JSON.stringify(request)}\n`);
    const chunks: Buffer[] = [];
    for await (const chunk of link) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  const endContainers = () => {
    for (const pid of [...pidsBelow(podman), ...startedBelow(root)].flatMap((each) => [-each, each])) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself, or leads no group.
      }
    }
  };
  /** The agent with the commands that it has under way, and not the containers. */
  const endAgent = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  };
  onTestFinished(async () => {
    endAgent();
    await removeAll(root, endContainers);
  });
  await start();
  const agent: TestAgent = {
    root,
    podman,
    socket,
    env,
    ask: async (request) => JSON.parse((await read(request)).split("\n")[0] ?? ""),
    read: async (request) => {
      const text = await read(request);
      return text.slice(text.indexOf("\n") + 1);
    },
    async bind(binding) {
      const { error } = await agent.ask({ op: "bind", binding, parts: hastened(boundParts(binding)) });
      if (error) throw new Error(error.message);
    },
    report: () => latest ?? ({} as Report),
    async until(check, withinMs = 15_000) {
      for (const start = performance.now(); performance.now() - start < withinMs; await delay(20)) {
        if (latest && check(latest)) return latest;
      }
      throw new Error(`not seen within ${withinMs} ms, but ${JSON.stringify(latest, undefined, 1)}`);
    },
    async restart(what) {
      endAgent();
      if (what === "machine") {
        endContainers();
        setBoot(`boot-${++boots}`);
        await removeAll(join(root, "run"), endContainers);
      }
      rmSync(socket, { force: true });
      await start();
    },
    volume: (name, path) => join(root, "var/lib/drover/volumes", name, path),
    calls: () =>
      noted(join(podman, "calls"))
        .split("\n")
        .flatMap((line) => (line === "" ? [] : [JSON.parse(line)])),
  };
  return agent;
}

/** Removes a folder into which processes that are about to end still write. */
async function removeAll(folder: string, end: () => void): Promise<void> {
  for (let tries = 0; existsSync(folder); tries++) {
    end();
    await delay(50);
    try {
      rmSync(folder, { recursive: true });
    } catch (error) {
      if (tries > 100) throw error;
    }
  }
}

async function connected(path: string) {
  for (const start = performance.now(); performance.now() - start < 10_000; await delay(10)) {
    const link = connect({ path });
    const open = await new Promise<boolean>((resolve) => {
      link.once("connect", () => resolve(true));
      link.once("error", () => resolve(false));
    });
    if (open) return link;
  }
  throw new Error(`nothing listens on ${path}`);
}

/** The stand-ins and what keeps units' logs, which a file below `root` names, with what they have started. */
const startedBelow = (root: string): number[] =>
  readdirSync("/proc").flatMap((pid) => {
    try {
      const words = /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0") : [];
      if (!words.some((word) => word.startsWith(`${root}/`))) return [];
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").match(/\d+/g) ?? [];
      return [pid, ...children].map(Number);
    } catch {
      return []; // It has ended by now.
    }
  });

/** What a stand-in has noted so far; nothing while it was not called. */
export const noted = (path: string): string => readFileSync(path, { encoding: "utf8", flag: "a+" });

/** Processes of the stand-ins: containers by the calls that name them, units by their files. */
function pidsBelow(podman: string): number[] {
  const names = new Set<string>();
  const calls = noted(join(podman, "calls"));
  for (const match of calls.matchAll(/"--name=([^"]+)"/g)) names.add(join("containers", match[1] ?? ""));
  if (existsSync(join(podman, "units"))) {
    for (const unit of readdirSync(join(podman, "units"))) names.add(join("units", unit));
  }
  return [...names].flatMap((name) => {
    try {
      const { pid, MainPID } = JSON.parse(readFileSync(join(podman, name), "utf8"));
      return (pid ?? MainPID) > 0 ? [(pid ?? MainPID) as number] : [];
    } catch {
      return [];
    }
  });
}

export const container = (name: string, script?: string, more: Partial<BoundContainer> = {}): BoundContainer => ({
  name,
  image: "tool:1",
  pullPolicy: "IfNotPresent",
  ...(script !== undefined && { command: ["sh", "-c", script] }),
  env: [],
  mounts: [],
  cpuMillisMax: 0,
  memoryBytesMax: 0,
  privileged: false,
  readOnlyRoot: false,
  capabilitiesAdd: [],
  capabilitiesDrop: [],
  tty: false,
  stdin: false,
  sidecar: false,
  terminationMessagePath: "/dev/termination-log",
  ...more,
});

export const probe = (action: BoundProbe["action"], more: Partial<BoundProbe> = {}): BoundProbe => ({
  action,
  initialDelaySeconds: 0,
  periodSeconds: 1,
  timeoutSeconds: 1,
  successThreshold: 1,
  failureThreshold: 1,
  ...more,
});

export const binding = (containers: BoundContainer[], more: Partial<Binding> = {}): Binding => ({
  version: 1,
  uid: "uid-1",
  namespace: "default",
  name: "web-0",
  hostname: "web-0",
  nameservers: ["10.0.0.2"],
  searchDomains: ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"],
  hostAliases: [],
  restartPolicy: "Always",
  graceSeconds: 5,
  activeDeadlineSeconds: 0,
  volumes: [],
  initContainers: [],
  containers,
  ...more,
});

export const state = (report: Report, index = 0) => report.containerStatuses[index]?.state ?? {};
export const ready = ({ containerStatuses: all }: Report) => all.length > 0 && all.every((status) => status.ready);
export const reasons = (report: Report) => report.events.map(({ reason }) => reason);
export const restarts = (report: Report) => report.containerStatuses[0]?.restartCount;
export const files = (content: Record<string, string>): BoundVolume => ({
  name: "cfg",
  kind: "files",
  files: Object.entries(content).map(([path, text]) => ({
    path,
    mode: 0o644,
    contentBase64: Buffer.from(text).toString("base64"),
  })),
});
export const flag = (agent: TestAgent) => join(agent.root, "flag");

/** A web server whose answer is a status code that the test can change. */
export async function web(code = 200) {
  const answers = { code, asked: 0 };
  const server = createServer((_, response) => {
    answers.asked++;
    response.writeHead(answers.code).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const action = {
    kind: "http",
    scheme: "HTTP",
    port: (server.address() as AddressInfo).port,
    path: "/healthz",
    headers: [["X-Probe", "1"]],
  } as const;
  return { answers, action: { ...action, headers: [["X-Probe", "1"] as [string, string]] } };
}
