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
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { parse } from "yaml";
import { awsImages } from "../../../src/cli/demo-aws.ts";
import { openSshServer } from "../../machines/ssh/ssh-server.ts";

/** What moto launched, running: the agent of its user data behind an SSH server, with plain processes for containers. */
export type Body = {
  /** As GetConsoleOutput gives it, with the host key's fingerprint as cloud-init prints it. */
  readonly console: string;
  /** A port that balancers are to reach from now on; absent where all of them are reached anyway. */
  expose?(port: number): void;
  /** A disk is attached, or taken away. */
  attach(volumeId: string, disk: string): void;
  detach(volumeId: string): void;
  /** As a power cut. */
  end(): Promise<void>;
};

const standIns = [new URL("../../machines/bin/", import.meta.url), new URL("./bin/", import.meta.url)].map((folder) =>
  fileURLToPath(folder),
);
const webProgram = fileURLToPath(new URL("./web.py", import.meta.url));
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

type CloudConfig = {
  ssh_authorized_keys: string[];
  write_files: { path: string; permissions?: string; content: string; encoding?: string }[];
};

/** User data as DescribeInstanceAttribute gives it, as text. */
export function userDataText(base64: string): string {
  const bytes = Buffer.from(base64, "base64");
  return (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString();
}

const sshPort = 22;

/** Boots at `address` from user data alone: its files, its key, and the program that its unit would start. */
export async function startBody(userData: string, address: string): Promise<Body> {
  const config = parse(userData) as CloudConfig;
  const root = mkdtempSync(join(tmpdir(), "rig-"));
  const state = join(root, "podman");
  const env = { DROVER_ROOT: root, FAKE_PODMAN: state, PATH: `${root}/bin:/usr/bin:/bin:/usr/sbin:/sbin` };
  mkdirSync(join(root, "bin"));
  for (const folder of standIns) {
    for (const tool of readdirSync(folder)) {
      rmSync(join(root, "bin", tool), { force: true });
      symlinkSync(join(folder, tool), join(root, "bin", tool));
    }
  }
  for (const { path, content } of config.write_files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    // The address stands in for the machine's own loopback: probes ask there, containers listen there.
    writeFileSync(join(root, path), path.endsWith("/agent.py") ? content.replaceAll("127.0.0.1", address) : content);
  }
  // One runtime, as on a machine of the family that this user data is for.
  const runtime = config.write_files.some(({ path }) => path === "/etc/docker/daemon.json") ? "docker" : "podman";
  for (const other of ["podman", "docker", "nerdctl"]) if (other !== runtime) rmSync(join(root, "bin", other));
  for (const folder of ["images", "containers", "registry"]) mkdirSync(join(state, folder), { recursive: true });
  for (const [name, image] of images(address)) {
    writeFileSync(join(state, "registry", name.replaceAll("/", "%")), JSON.stringify(image));
  }
  mkdirSync(join(root, "proc/sys/kernel/random"), { recursive: true });
  writeFileSync(join(root, "proc/sys/kernel/random/boot_id"), "boot-1\n");
  const agent = spawn("/usr/bin/python3", ["-S", "-E", join(root, "opt/drover/agent.py")], {
    env,
    detached: true,
    stdio: "ignore",
  });
  const [key = ""] = config.ssh_authorized_keys;
  const server = await openSshServer({ root, env }, key, { address, port: sshPort });
  const disks = join(root, "dev/disk/by-id");
  const device = (volumeId: string) => join(disks, `nvme-Amazon_Elastic_Block_Store_${volumeId.replace("-", "")}`);
  return {
    console: server.console,
    attach(volumeId, disk) {
      mkdirSync(disks, { recursive: true });
      if (!existsSync(device(volumeId))) symlinkSync(disk, device(volumeId));
    },
    detach: (volumeId) => rmSync(device(volumeId), { force: true }),
    async end() {
      server.close();
      await endAll(agent, root);
    },
  };
}

/** What the stand-in for a registry has: the page's name, its port, where it is. */
const pages: readonly { page: string; port: number; reference: string }[] = [
  ...["web:1", "web:2", "web:3"].map((page) => ({ page, port: 8_080, reference: `docker.io/library/${page}` })),
  ...Object.values(awsImages).map((reference) => ({ page: reference, port: 80, reference })),
];

const images = (address: string) =>
  pages.map(({ page, port, reference }, index) => {
    const entrypoint = ["python3", "-S", "-E", webProgram, address, `${port}`, page];
    return [reference, { id: `${index + 1}`.repeat(64), entrypoint }] as const;
  });

/** Processes below the root, and then the root. */
async function endAll(agent: ChildProcess, root: string): Promise<void> {
  for (let tries = 0; existsSync(root); tries++) {
    for (const pid of [agent.pid, ...containersOf(root)]) {
      try {
        if (pid !== undefined) process.kill(-pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
    try {
      rmSync(root, { recursive: true });
    } catch (error) {
      if (tries > 100) throw error;
    }
    // Whoever kept a container's log writes down that it has ended.
    await pause(300);
  }
}

function containersOf(root: string): number[] {
  const folder = join(root, "podman/containers");
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.flatMap((name) => {
    try {
      const { pid } = JSON.parse(readFileSync(join(folder, name), "utf8"));
      return pid > 0 ? [pid as number] : [];
    } catch {
      return []; // It is being written.
    }
  });
}
