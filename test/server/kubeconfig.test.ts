import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { systemClock } from "../../src/base/clock.ts";
import { type Identity, openIdentity } from "../../src/server/identity.ts";
import {
  kubeconfigText,
  mergeKubeconfig,
  mergeKubeconfigFile,
  writeKubeconfigFile,
} from "../../src/server/kubeconfig.ts";

let folder = "";
let identity: Identity;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kubeconfig-"));
  identity = await openIdentity({ directory: join(folder, "identity"), clock: systemClock });
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const access = (server = "https://127.0.0.1:6443") => ({ name: "drover", server, identity });

const other = `# mine
apiVersion: v1
kind: Config
clusters:
- cluster: {server: https://example.com}   # work
  name: work
contexts:
- context: {cluster: work, user: me, namespace: team}
  name: work
current-context: work
users:
- name: me
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, get-token]}
preferences: {colors: true}
extensions:
- name: x
  extension: {y: 1}
`;

test("stands alone", () => {
  const config = parse(kubeconfigText(access()));
  expect(config).toMatchObject({
    "current-context": "drover",
    clusters: [{ cluster: { server: "https://127.0.0.1:6443" } }],
  });
  expect(Buffer.from(config.clusters[0].cluster["certificate-authority-data"], "base64").toString()).toBe(
    identity.authority,
  );
});

test("joins another without losing anything, comments included", () => {
  const merged = mergeKubeconfig(other, access());
  const [before, after] = [parse(other), parse(merged)];
  for (const section of ["clusters", "contexts", "users"]) {
    expect(after[section]).toHaveLength(2);
    expect(after[section][0]).toEqual(before[section][0]);
    expect(after[section][1].name).toBe("drover");
  }
  expect(after["current-context"]).toBe("drover");
  expect(after.preferences).toEqual(before.preferences);
  expect(after.extensions).toEqual(before.extensions);
  expect(merged).toContain("# mine");
  expect(merged).toContain("# work");
});

test("replaces its own entry", () => {
  const twice = mergeKubeconfig(mergeKubeconfig(other, access()), access("https://127.0.0.1:7000"));
  const config = parse(twice);
  expect(config.clusters).toHaveLength(2);
  expect(config.clusters[1].cluster.server).toBe("https://127.0.0.1:7000");
});

test("fills sections that are absent or null", () => {
  const config = parse(mergeKubeconfig("apiVersion: v1\nkind: Config\nclusters: null\nusers: []\n", access()));
  expect([config.clusters, config.users, config.contexts].map((list) => list.length)).toEqual([1, 1, 1]);
});

test.for(["[]", "a: [", "just text"])("refuses what is no kubeconfig: %s", (text) => {
  expect(() => mergeKubeconfig(text, access())).toThrow("can't be read");
});

test("the file is for its owner alone, and the lock is gone afterwards", async () => {
  const path = join(folder, "config");
  await writeFile(path, other, { mode: 0o644 });
  await mergeKubeconfigFile(path, access(), systemClock);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(parse(await readFile(path, "utf8")).clusters).toHaveLength(2);
  await expect(stat(`${path}.lock`)).rejects.toThrow("ENOENT");
});

test("a file that can't be written is named, with the way out", async () => {
  const refused = { code: "USAGE", message: expect.stringContaining(`${folder} can't be written`) };
  await expect(writeKubeconfigFile(folder, access())).rejects.toMatchObject(refused);
  await expect(mergeKubeconfigFile(folder, access(), systemClock)).rejects.toMatchObject(refused);
  const left = (await readdir(dirname(folder))).filter((name) => name.startsWith(`${basename(folder)}.`));
  expect(left).toEqual([]);
});
