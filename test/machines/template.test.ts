import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import type { Pod } from "../../src/api/types.gen.ts";
import { seededRandom } from "../../src/base/random.ts";
import { asTreeOwner, buildRootfs } from "../../src/clouds/local/rootfs.ts";
import { runTool } from "../../src/clouds/local/run-tool.ts";
import { machineTemplate } from "../../src/machines/template.ts";
import { compactPython } from "../../src/machines/userdata.ts";

const authorizedKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZvbyBiYXIgYmF6IHF1eCBxdXV4IGNvcmdlIGdyYXVs drover";
const golden = fileURLToPath(new URL("../golden/", import.meta.url));
const agent = fileURLToPath(new URL("../../templates/agent.py", import.meta.url));

const podWith = (spec: Partial<Pod["spec"]>, annotations: Record<string, string> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web-abcde", namespace: "default", annotations },
  spec: { containers: [{ name: "c", image: "nginx:1.20.1" }], ...spec },
});
const container = (cpu?: string, memory?: string) => ({
  name: "c",
  image: "nginx",
  resources: { requests: { ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }) } },
});
const MiB = 2 ** 20;

function folderWith(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "templates-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "partials"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const cases = readdirSync(golden).flatMap((file) =>
  file.endsWith(".in.yaml") ? [file.slice(0, -".in.yaml".length)] : [],
);
test.for(cases)("user data of %s is as reviewed", async (name) => {
  const pod: Pod = parse(readFileSync(join(golden, `${name}.in.yaml`), "utf8"));
  const { userData } = machineTemplate(pod, { authorizedKey });
  await expect(userData).toMatchFileSnapshot(join(golden, `${name}.user-data.yaml`));
  const document = parse(userData);
  expect(document.ssh_authorized_keys).toEqual([authorizedKey]);
  expect(gzipSync(userData, { level: 9 }).byteLength).toBeLessThanOrEqual(16_384);
  const paths = document.write_files.map((file: { path: string }) => file.path);
  expect(new Set(paths).size).toBe(paths.length);
  const written = document.write_files.find((file: { path: string }) => file.path === "/opt/drover/agent.py");
  expect(written.content.trimEnd()).toBe(compactPython(readFileSync(agent, "utf8")).trimEnd());
});

// cloud-init would enable itself on the computer that it is installed on, so it lives in a tree of its own.
test("cloud-init accepts every user data", { timeout: 300_000 }, async () => {
  const tree = await buildRootfs({ name: "cloud-init", packages: ["cloud-init"], variant: "essential" });
  for (const name of cases) {
    const place = `/tmp/${name}.user-data.yaml`;
    copyFileSync(join(golden, `${name}.user-data.yaml`), join(tree, place));
    const argv = [...asTreeOwner(), "chroot", tree, "cloud-init", "schema", "--config-file", place];
    expect(await runTool(argv), name).toMatch(/Valid/);
  }
});

test("the compacted agent is the same program", () => {
  const normal =
    "import ast,sys\nt=ast.parse(sys.stdin.read())\n" +
    "for n in ast.walk(t):\n" +
    "  b=getattr(n,'body',None)\n" +
    "  if isinstance(b,list) and isinstance(n,(ast.Module,ast.FunctionDef,ast.ClassDef)) and ast.get_docstring(n,False) is not None: n.body=b[1:]\n" +
    "print(ast.dump(t))";
  const source = readFileSync(agent, "utf8");
  const dump = (input: string) =>
    execFileSync("python3", ["-c", normal], { input, encoding: "utf8", maxBuffer: 2 ** 26 });
  expect(dump(compactPython(source))).toBe(dump(source));
});

test.for([
  ["no requests: the named default", [container()], [], 500, 512],
  ["requests add up", [container("250m", "64Mi"), container("1", "64Mi")], [], 1350, 448],
  ["a resource that nobody requests gets the default", [container("250m")], [], 350, 512],
  [
    "a hungry init container counts when it asks for more",
    [container("100m", "64Mi")],
    [container("1", "32Mi")],
    1100,
    384,
  ],
  [
    "a sidecar counts beside the containers",
    [container("100m", "64Mi")],
    [{ ...container("200m", "32Mi"), restartPolicy: "Always" }],
    400,
    416,
  ],
] as const)("size: %s", ([_name, containers, initContainers, cpuMillis, memoryMiB]) => {
  const made = machineTemplate(podWith({ containers: [...containers], initContainers: [...initContainers] }), {
    authorizedKey,
  });
  expect(made).toMatchObject({ cpuMillis, memoryBytes: memoryMiB * MiB });
});

test("pods that differ only in name share a template; another request makes another", () => {
  const first = machineTemplate(podWith({}), { authorizedKey });
  const second = machineTemplate(
    { ...podWith({}), metadata: { name: "web-fghij", namespace: "default" } },
    { authorizedKey },
  );
  expect(second.hash).toBe(first.hash);
  expect(first.hash).toMatch(/^[0-9a-f]{16}$/);
  expect(machineTemplate(podWith({ containers: [container("2")] }), { authorizedKey }).hash).not.toBe(first.hash);
  expect(first.prefetch).toEqual(["nginx:1.20.1"]);
});

test.for([
  ["an unknown engine", { "drover.dev/engine": "wasm" }, {}, /no engine "wasm"/],
  ["an unknown template", { "drover.dev/template": "../../etc/passwd" }, {}, /no template/],
  [
    "a value without a helper",
    { "drover.dev/template": "mine" },
    { "mine.yaml.hbs": "a: {{namespace}}" },
    /line 1: a value must be printed/,
  ],
  [
    "a raw value",
    { "drover.dev/template": "mine" },
    { "mine.yaml.hbs": "a: {{{namespace}}}" },
    /a value must be printed/,
  ],
  [
    "an unknown name",
    { "drover.dev/template": "mine" },
    { "mine.yaml.hbs": "a: {{yaml annotations.missing}}" },
    /does not exist/,
  ],
  ["bad syntax", { "drover.dev/template": "mine" }, { "mine.yaml.hbs": "a: {{yaml" }, /Parse error/],
] as const)("refuses %s", ([_name, annotations, files, message]) => {
  const templatesDir = folderWith(files);
  expect(() => machineTemplate(podWith({}, annotations), { authorizedKey, templatesDir })).toThrow(message);
});

test("user data over the limit is refused with its size", () => {
  const random = seededRandom(1);
  const noise = Array.from({ length: 30_000 }, () => Math.floor(random.next() * 36).toString(36)).join("");
  const templatesDir = folderWith({ "mine.yaml.hbs": `#cloud-config\nbootcmd: [[echo, "${noise}"]]\n` });
  const pod = podWith({}, { "drover.dev/template": "mine" });
  expect(() => machineTemplate(pod, { authorizedKey, templatesDir })).toThrow(
    expect.objectContaining({ code: "USER_DATA_TOO_LARGE" }),
  );
});
