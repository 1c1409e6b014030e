import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DroverHome } from "./drover.ts";

// What a mistake in a manifest answers, as kubectl shows it, against `drover serve --cloud sim`.
const home = new DroverHome();
const templates = join(home.folder, "templates");

beforeAll(async () => {
  mkdirSync(templates, { recursive: true });
  const noise = Array.from({ length: 6_000 }, (_, index) => (index * 2_654_435_761).toString(36)).join("");
  const base = readFileSync(join(import.meta.dirname, "../../templates/base.yaml.hbs"), "utf8");
  writeFileSync(join(templates, "big.yaml.hbs"), `${base}\n# ${noise}\n`);
  await home.serve("--cloud", "sim", "--speed", "100", "--templates", templates);
});
afterAll(() => home.close());

const k = (words: string, input?: string) => home.kubectl("1.36", words, input);

const deployment = (spec: string, container = "{name: web, image: web:1}") => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  ${spec}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - ${container}
`;
const selector = "selector: {matchLabels: {app: web}}";

test.for([
  ["an unknown field", deployment(`${selector}\n  foo: 1`), /unknown field "spec\.foo"/],
  [
    "a wrong type",
    deployment(`${selector}\n  replicas: two`),
    /cannot (be handled|unmarshal)|expected|strconv|replicas/,
  ],
  [
    "a selector that misses the template",
    deployment("selector: {matchLabels: {app: other}}"),
    /`selector` does not match template `labels`/,
  ],
  ["no selector", deployment("replicas: 1"), /spec\.selector: Required value/],
  [
    "a negative number of replicas",
    deployment(`${selector}\n  replicas: -1`),
    /spec\.replicas: Invalid value: -1: must be greater than or equal to 0/,
  ],
  [
    "nonsense for a quantity",
    deployment(selector, "{name: web, image: web:1, resources: {requests: {memory: lots}}}"),
    /quantities must match the regular expression/,
  ],
  [
    "a request above its limit",
    deployment(selector, "{name: web, image: web:1, resources: {requests: {cpu: 2}, limits: {cpu: 1}}}"),
    /must be less than or equal to cpu limit/,
  ],
  [
    "a port out of range",
    deployment(selector, "{name: web, image: web:1, ports: [{containerPort: 70000}]}"),
    /must be between 1 and 65535, inclusive/,
  ],
] as const)("%s is refused by name, and nothing is stored", async ([_name, manifest, message]) => {
  const { code, err } = await k("apply -f -", manifest);
  expect(code).toBe(1);
  expect(err).toMatch(message);
  expect((await k("get deployment web")).err).toContain("NotFound");
});

test("an immutable field is not changed", async () => {
  expect((await k("apply -f -", deployment(`${selector}\n  replicas: 0`))).code).toBe(0);
  const changed = deployment("selector: {matchLabels: {app: web, tier: front}}").replace(
    "labels: {app: web}",
    "labels: {app: web, tier: front}",
  );
  const { code, err } = await k("apply -f -", changed);
  expect(code).toBe(1);
  expect(err).toMatch(/spec\.selector: Invalid value: .*: field is immutable/);
  await k("delete deployment web");
});

const pod = (name: string, container: string, annotations = "{}") => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, annotations: ${annotations}}
spec:
  containers:
  - ${container}
`;

/** Creates the Pod and polls what `kubectl get` and `kubectl describe` say until it is as expected. */
async function shows(name: string, manifest: string, status: RegExp, described: RegExp): Promise<void> {
  expect((await k("apply -f -", manifest)).code).toBe(0);
  await expect.poll(async () => (await k(`get pod ${name}`)).out, { timeout: 40_000, interval: 500 }).toMatch(status);
  await expect
    .poll(async () => (await k(`describe pod ${name}`)).out, { timeout: 20_000, interval: 500 })
    .toMatch(described);
  expect((await k(`delete pod ${name} --timeout=30s`)).code).toBe(0);
}

test("an image that doesn't exist is said and tried again", { timeout: 90_000 }, async () => {
  await shows(
    "absent",
    pod("absent", "{name: a, image: no-such-image:1}"),
    /ErrImagePull|ImagePullBackOff/,
    /Failed to pull image "no-such-image:1"/,
  );
});

test("a command that exits is restarted with a back-off", { timeout: 90_000 }, async () => {
  const container = '{name: a, image: "web:1", command: [sh, -c, "exit 3"]}';
  await shows("exits", pod("exits", container), /CrashLoopBackOff|Error/, /Exit Code: +3/);
});

test("a probe that never passes keeps the Pod out of service", { timeout: 90_000 }, async () => {
  const container =
    '{name: a, image: "web:1", readinessProbe: {httpGet: {path: /status/503, port: 80}, periodSeconds: 1}}';
  await shows("unready", pod("unready", container), /0\/1 +Running/, /Readiness probe failed/);
});

test("a machine that no type can hold stays Pending with the numbers", { timeout: 90_000 }, async () => {
  const container = '{name: a, image: "web:1", resources: {requests: {memory: 900Gi}}}';
  await shows("huge", pod("huge", container), /Pending/, /FailedScheduling[\s\S]*(memory|Gi|MiB)/);
});

test("user data that is too long is said with both sizes", { timeout: 90_000 }, async () => {
  const annotations = '{drover.dev/template: "big"}';
  await shows(
    "big",
    pod("big", "{name: a, image: web:1}", annotations),
    /Pending/,
    /user data is \d+ bytes once compressed; at most 16384/,
  );
});

test("a computer without QEMU is told what to install", { timeout: 60_000 }, async () => {
  const { code, err } = await home.drover(["serve", "--cloud", "local", "--cluster", "none", "--port", "0"], 30_000, {
    PATH: "/nowhere",
  });
  expect(code).toBe(1);
  expect(err).toMatch(/apt-get install .*qemu-system-x86/);
});
