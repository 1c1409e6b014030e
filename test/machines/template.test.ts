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
import type { ImageFamily, MachineImage } from "../../src/clouds/cloud.ts";
import { asTreeOwner, buildRootfs } from "../../src/clouds/local/rootfs.ts";
import { runTool } from "../../src/clouds/local/run-tool.ts";
import { agentParts, agentProgram, agentSource } from "../../src/machines/agent.ts";
import { repositoryOf } from "../../src/machines/catalog.ts";
import { imageReference, machineTemplate } from "../../src/machines/template.ts";

const authorizedKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZvbyBiYXIgYmF6IHF1eCBxdXV4IGNvcmdlIGdyYXVs drover";
const golden = fileURLToPath(new URL("../golden/", import.meta.url));
const userDataBytesMax = 16_384;
/** What people's own templates may add to drover's, compressed. */
const roomBytes = 2_500;
const agentFolder = fileURLToPath(new URL("../../templates/agent/", import.meta.url));

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

const family = (name: string): ImageFamily =>
  (["ubuntu", "amazon-linux", "other"] as const).find((each) => name.endsWith(`.${each}`)) ?? "debian";
const imageOf = (name: string): MachineImage => ({
  id: "ami-0123456789abcdef0",
  family: family(name),
  architecture: "amd64",
  diskBytesMin: 0,
});
/** One an engine and family; `web` is what the local cloud boots. */
const cases = readdirSync(golden).flatMap((file) =>
  file.endsWith(".in.yaml") ? [file.slice(0, -".in.yaml".length)] : [],
);
const madeOf = (name: string) => {
  const pod: Pod = parse(readFileSync(join(golden, `${name}.in.yaml`), "utf8"));
  return machineTemplate(pod, { authorizedKey, ...(name !== "web" && { image: imageOf(name) }) });
};

test.for(cases)("user data of %s is as reviewed", async (name) => {
  const { userData } = madeOf(name);
  await expect(userData).toMatchFileSnapshot(join(golden, `${name}.user-data.yaml`));
  const document = parse(userData);
  expect(document.ssh_authorized_keys).toEqual([authorizedKey]);
  expect(gzipSync(userData, { level: 9 }).byteLength).toBeLessThanOrEqual(userDataBytesMax - roomBytes);
  const paths = document.write_files.map((file: { path: string }) => file.path);
  expect(new Set(paths).size).toBe(paths.length);
  const written = document.write_files.find((file: { path: string }) => file.path === "/opt/drover/agent.py");
  const engine = name.split(".")[0] === "web" ? "oci" : (name.split(".")[0] ?? "");
  const parts = agentParts(engine, engine === "ami" ? "other" : family(name));
  expect(written.content.trimEnd()).toBe(agentProgram(parts).trimEnd());
});

test("every engine has user data for every family that it runs on", () => {
  const families = ["debian", "ubuntu", "amazon-linux"];
  const wanted = [...families, "other"].map((each) => `oci.${each}`);
  expect(cases).toEqual(["web", "ami", ...wanted, ...families.map((each) => `native.${each}`)].sort());
});

// cloud-init would enable itself on the computer that it is installed on, so it lives in a tree of its own.
test("cloud-init accepts every user data", { timeout: 300_000 }, async () => {
  const tree = await buildRootfs({ name: "cloud-init", packages: ["cloud-init"], variant: "extract" });
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
  const dump = (input: string) =>
    execFileSync("python3", ["-c", normal], { input, encoding: "utf8", maxBuffer: 2 ** 26 });
  const all = readdirSync(agentFolder).map((file) => file.slice(0, -".py".length));
  expect(all.length).toBeGreaterThan(10);
  expect(dump(agentProgram(all))).toBe(dump(agentSource(all)));
});

test.for([
  ["no requests: the named default", [container()], [], 400, 512],
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
  [
    "an unknown engine",
    { "drover.dev/engine": "wasm" },
    {},
    /^drover\.dev\/engine: there is no engine "wasm" on machine images of the family debian; there are ami, native, oci\.$/,
  ],
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

test.for([
  [
    "an image of a machine beside another",
    ["ami-0a", "nginx"],
    {},
    /spec\.containers\[1\]\.image: "nginx" is not possible/,
  ],
  ["two machine images", ["ami-0a", "ami-0b"], {}, /spec\.containers\[1\]\.image: "ami-0b"/],
  ["the engine ami without one", ["nginx"], { "drover.dev/engine": "ami" }, /spec\.containers\[0\]\.image: "nginx"/],
  ["a machine image in a container", ["ami-0a"], { "drover.dev/engine": "oci" }, /leave the annotation/],
  [
    "native without a package",
    ["nginx", "mine:1"],
    { "drover.dev/engine": "native" },
    /spec\.containers\[1\]\.image.*mine:1.*nginx/,
  ],
] as const)("refuses %s, by its field", ([_name, images, annotations, message]) => {
  const containers = images.map((image, index) => ({ name: `c${index}`, image }));
  const make = () => machineTemplate(podWith({ containers }, annotations), { authorizedKey });
  expect(make).toThrow(expect.objectContaining({ code: "CLOUD_INVALID", message: expect.stringMatching(message) }));
});

test("a machine image as container image is the template's machine image", () => {
  const containers = [1, 2].map((index) => ({ name: `c${index}`, image: "ami-0a1b2c3d" }));
  const made = machineTemplate(podWith({ containers }), { authorizedKey });
  expect(made).toMatchObject({ image: "ami-0a1b2c3d", prefetch: [] });
  expect(imageReference(podWith({ containers }))).toBe("ami-0a1b2c3d");
  expect(imageReference(podWith({}, { "drover.dev/image": "al2023" }))).toBe("al2023");
  expect(imageReference(podWith({}))).toBeUndefined();
});

test("ports, GPUs and the instance profile are the template's, and absent where there are none", () => {
  const plain = machineTemplate(podWith({}), { authorizedKey });
  for (const name of ["ports", "gpus", "profile"]) expect(plain).not.toHaveProperty(name);
  const port = (containerPort: number, protocol?: string) => ({ containerPort, ...(protocol && { protocol }) });
  const made = machineTemplate(
    podWith({
      containers: [
        { name: "a", image: "i", ports: [port(443), port(53, "UDP"), port(53, "TCP"), port(9, "SCTP")] },
        { name: "b", image: "i", ports: [port(443)], resources: { limits: { "nvidia.com/gpu": "2" } } },
      ],
      initContainers: [
        { name: "s", image: "i", ports: [port(80)], restartPolicy: "Always" },
        { name: "i", image: "i", ports: [port(81)] },
      ],
    }),
    { authorizedKey, serviceAccount: { "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/path/web" } },
  );
  expect(made).toMatchObject({ gpus: 2, profile: "web" });
  expect(made.ports).toEqual([
    { port: 53, protocol: "TCP" },
    { port: 53, protocol: "UDP" },
    { port: 80, protocol: "TCP" },
    { port: 443, protocol: "TCP" },
  ]);
  expect(made.hash).not.toBe(plain.hash);
  const own = { "drover.dev/instance-profile": "mine", "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/web" };
  expect(machineTemplate(podWith({}), { authorizedKey, serviceAccount: own }).profile).toBe("mine");
});

test("a catalog of the user's own comes before drover's", () => {
  const catalog = { nginx: { packages: ["nginx-full"], command: ["nginx"] } };
  const templatesDir = folderWith({ "catalog.json": JSON.stringify(catalog) });
  const pod = podWith({}, { "drover.dev/engine": "native" });
  expect(machineTemplate(pod, { authorizedKey, templatesDir }).userData).toContain('"nginx-full"');
  const broken = folderWith({ "catalog.json": '{"nginx": {"command": []}}' });
  expect(() => machineTemplate(pod, { authorizedKey, templatesDir: broken })).toThrow(/catalog.*packages/s);
});

// What a machine's user data holds can be read by every process on it, and by all who may describe it.
test("no secret and no private key is in user data", () => {
  const random = seededRandom(7);
  const secret = () => `s3cret-${Math.floor(random.next() * 2 ** 40).toString(36)}`;
  const texts = cases.map((name) => readFileSync(join(golden, `${name}.user-data.yaml`), "utf8"));
  for (let round = 0; round < 50; round++) {
    const name = cases[round % cases.length] ?? "";
    const hidden = [secret(), secret(), secret(), secret()];
    const pod = podWith(
      {
        containers: [
          {
            name: "c",
            image: "nginx",
            command: ["run", hidden[0] ?? ""],
            args: [hidden[1] ?? ""],
            env: [{ name: "PASSWORD", value: hidden[2] ?? "" }],
            envFrom: [{ secretRef: { name: "credentials" } }],
          },
        ],
        volumes: [{ name: "v", secret: { secretName: "credentials" } }],
      },
      { "example.com/token": hidden[3] ?? "", "drover.dev/engine": name.startsWith("native") ? "native" : "oci" },
    );
    const { userData } = machineTemplate(pod, { authorizedKey, image: imageOf(name) });
    for (const text of hidden) expect(userData).not.toContain(text);
    texts.push(userData);
  }
  for (const text of texts) expect(text).not.toMatch(/PRIVATE KEY|aws_secret|AKIA|s3cret|rsa_private|ed25519_private/);
});

test.for([
  ["nginx", "nginx"],
  ["nginx:1.20.1", "nginx"],
  ["docker.io/library/nginx@sha256:00", "nginx"],
  ["public.ecr.aws/docker/library/redis:7", "redis"],
  ["registry.test:5000/nginx:1", "registry.test:5000/nginx"],
  ["bitnami/nginx:1", "bitnami/nginx"],
])("in the catalog %s is %s", ([image, repository]) => {
  expect(repositoryOf(image ?? "")).toBe(repository);
});
