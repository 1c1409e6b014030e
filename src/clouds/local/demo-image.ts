import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ociArchive, packLayer } from "./oci-archive.ts";
import { buildOnce, buildRootfs, cacheDirectory, inputsHash, type Watching } from "./rootfs.ts";
import { runTool } from "./run-tool.ts";

/** A container image as an OCI archive on the disk, and the name that it is to be known by. */
export type DemoImage = { reference: string; archive: string };

/** What each image's page says. All share their lower layer. */
const variants = [
  { reference: "web:1", version: "web:1" },
  { reference: "web:2", version: "web:2" },
  { reference: "nginx:1.20.1", version: "a stand-in for nginx:1.20.1, made from Debian's own nginx" },
];

/** `/slow` sends this much at 1 KiB a second, the first KiB at once. */
const slowBytes = 8 * 1024;

/** Goes up when the same inputs give another image. */
const layoutVersion = 1;

const config = fileURLToPath(new URL("../../../templates/local/demo/nginx.conf", import.meta.url));

/**
 * The demo's container images: nginx and a shell from Debian's packages, without the rest of Debian. They listen on
 * port 80, answer `/` with their version and host name, answer `/slow` within about 8 seconds, and end gracefully.
 * @throws SETUP_MISSING, CLOUD_UNAVAILABLE
 */
export async function buildDemoImages(o: Watching = {}): Promise<readonly DemoImage[]> {
  const nginxConf = await readFile(config, "utf8");
  const path = join(cacheDirectory(), "image", `demo-${inputsHash([layoutVersion, nginxConf, variants, slowBytes])}`);
  const directory = await buildOnce(path, o, async (partial) => {
    const packages = ["nginx-light", "busybox-static"];
    const debian = await buildRootfs({ name: "demo", packages, variant: "extract", ...o });
    await mkdir(partial);
    const tree = join(partial, "tree");
    await pickFiles(debian, tree, nginxConf);
    const base = await packLayer(tree, join(partial, "base"));
    await rm(tree, { recursive: true });
    for (const { reference, version } of variants) {
      const top = join(partial, "top");
      await place(join(top, "etc/nginx/version.conf"), `map $host $drover_version { default "${version}"; }\n`);
      const layers = [base, await packLayer(top, join(partial, "layer"))];
      await ociArchive(join(partial, fileName(reference)), { reference, layers, config: runSettings });
      await rm(top, { recursive: true });
    }
    await rm(debian, { recursive: true });
  });
  return variants.map(({ reference }) => ({ reference, archive: join(directory, fileName(reference)) }));
}

const fileName = (reference: string): string => `${reference.replaceAll(/[:/]/g, "-")}.tar`;

const runSettings = {
  Entrypoint: ["/usr/sbin/nginx", "-g", "daemon off;"],
  Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
  ExposedPorts: { "80/tcp": {} },
  StopSignal: "SIGQUIT",
  WorkingDir: "/",
};

/** nginx, the libraries that its loader names, and busybox under the names of the usual commands. */
async function pickFiles(debian: string, tree: string, nginxConf: string): Promise<void> {
  const library = "lib/x86_64-linux-gnu";
  const paths = `${join(debian, library)}:${join(debian, "usr", library)}`;
  // The name that programs ask for is an absolute link, which outside of the tree leads to the computer's own loader.
  const loader = join(library, "ld-linux-x86-64.so.2");
  const nginx = "usr/sbin/nginx";
  const listed = await runTool([join(debian, loader), "--library-path", paths, "--list", join(debian, nginx)]);
  const libraries = [...listed.matchAll(/=> (\S+\/([^/\s]+)) /g)].filter(([, from = ""]) => from.startsWith(debian));
  const copy = async (from: string, to: string): Promise<void> => {
    await mkdir(dirname(join(tree, to)), { recursive: true });
    await cp(from, join(tree, to), { dereference: true });
  };
  await copy(join(debian, loader), "lib64/ld-linux-x86-64.so.2");
  for (const [, from = "", name = ""] of libraries) await copy(from, join("usr", library, name));
  for (const name of [nginx, "bin/busybox"]) await copy(join(debian, name), name);
  await runTool(["ln", "-s", join("usr", "lib"), join(tree, "lib")]);
  for (const name of commands) await runTool(["ln", "-s", "busybox", join(tree, "bin", name)]);
  await place(join(tree, "etc/nginx/nginx.conf"), nginxConf);
  await place(join(tree, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  await place(join(tree, "etc/group"), "root:x:0:\nnogroup:x:65534:\n");
  await place(join(tree, "srv/slow"), "eight seconds of it\n".repeat(slowBytes / 20).padEnd(slowBytes, "."));
  for (const name of ["tmp", "run", "root", "var/log/nginx", "var/lib/nginx"]) {
    await mkdir(join(tree, name), { recursive: true });
  }
}

const commands = [
  ...["sh", "cat", "ls", "echo", "env", "hostname", "sleep", "true", "false", "wget", "nslookup", "ps", "id", "date"],
  ...["grep", "sed", "head", "tail", "mkdir", "rm", "cp", "mv", "touch", "test", "kill", "ip", "nc", "stat", "vi"],
];

async function place(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}
