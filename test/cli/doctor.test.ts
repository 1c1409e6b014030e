import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { demandsOf } from "../../src/cli/doctor.ts";
import { readManifests } from "../../src/cli/manifests.ts";
import { type Moto, startMoto } from "../aws/moto/server.ts";
import { DroverHome } from "../e2e/drover.ts";

const MiB = 2 ** 20;

test("what is wanted is read from the options and from manifests", () => {
  const folder = mkdtempSync(join(tmpdir(), "dr-doctor-"));
  const file = join(folder, "web.yaml");
  writeFileSync(
    file,
    `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 3
  template:
    spec:
      containers: [{ name: web, image: x, resources: { requests: { cpu: 900m, memory: 680Mi } } }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
---
apiVersion: v1
kind: Pod
metadata: { name: one }
spec:
  containers: [{ name: one, image: x, resources: { limits: { nvidia.com/gpu: 1 } } }]
`,
  );
  const demands = demandsOf({ replicas: 2, cpu: "400m", memory: "192Mi", filename: [file] });
  // `kubectl create deployment --replicas 2` asks for no more than that.
  expect(demandsOf({ replicas: 2 })).toEqual([{ ...demands[0], cpuMillis: 400 }]);
  rmSync(folder, { recursive: true });
  // A machine keeps 100m and 320Mi for itself.
  expect(demands).toEqual([
    { name: "--replicas", machines: 2, cpuMillis: 500, memoryBytes: 512 * MiB, gpus: 0 },
    { name: "Deployment web", machines: 3, cpuMillis: 1_000, memoryBytes: 1_000 * MiB, gpus: 0 },
    { name: "Pod one", machines: 1, cpuMillis: 400, memoryBytes: 512 * MiB, gpus: 1 },
  ]);
});

test.for([
  ["apiVersion: v1\nkind: List\nitems: [{ apiVersion: v1, kind: Pod, metadata: { name: a }, spec: {} }]", ["Pod a"]],
  ["---\n---\n", []],
] as const)("%j has %j", ([text, names]) => {
  expect(readIn(text).map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(names);
});

test.for([
  ["kind: Pod", /m\.yaml: apiVersion: /],
  ["apiVersion: v1\nkind: List\nitems: [{ apiVersion: v1, kind: Pod }]", /m\.yaml: metadata: /],
  ["a: [", /m\.yaml can't be read: Flow sequence/],
  [undefined, /m\.yaml can't be read: ENOENT/],
] as const)("%j is refused by the file's name", ([text, message]) => expect(() => readIn(text)).toThrow(message));

function readIn(text: string | undefined) {
  const folder = mkdtempSync(join(tmpdir(), "dr-manifests-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  if (text !== undefined) writeFileSync(join(folder, "m.yaml"), text);
  return readManifests(join(folder, "m.yaml"));
}

let moto: Moto;
let home: DroverHome;
beforeAll(async () => {
  home = new DroverHome();
  moto = await startMoto();
}, 180_000);
afterAll(async () => {
  await moto?.close();
  await home?.close();
});

/** moto has no other stock image. */
const here = ["--operator-cidr", "203.0.113.7/32", "--image", "al2023"];

test("the command tells people and programs the same, and ends with 1 while something is to be fixed", {
  timeout: 180_000,
}, async () => {
  const wrong = await home.drover(["doctor", "-o", "json", ...here], 90_000, moto.env);
  const findings: { check: string; state: string; text: string }[] = JSON.parse(wrong.out);
  const stateOf = (check: string) => findings.find((each) => each.check === check)?.state;
  expect(wrong.code).toBe(1);
  expect(findings.filter(({ state }) => state === "fix").map(({ check }) => check)).toEqual(["names"]);
  for (const check of ["node", "clock", "credentials", "region", "network", "ssh"])
    expect(stateOf(check), check).toBe("ok");
  const right = await home.drover(["doctor", "--create-zone", ...here], 90_000, moto.env);
  expect([right.code, right.out]).toEqual([0, expect.stringMatching(/^ok: +credentials +arn:aws:/m)]);
});

test("without a region, and with nothing at AWS, it is said what to do", { timeout: 60_000 }, async () => {
  const { code, err } = await home.drover(["doctor"], 30_000, { ...moto.env, AWS_REGION: "" });
  expect(code).toBe(1);
  expect(err).toMatch(/region/i);
});

test("without credentials one line says so, and no other", { timeout: 60_000 }, async () => {
  const env = { ...moto.env, AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" };
  const { code, out, err } = await home.drover(["doctor", ...here], 30_000, env);
  expect([code, err]).toEqual([1, ""]);
  expect(out.match(/credentials .*/g)).toEqual([
    expect.stringMatching(/does not accept the credentials.*aws sso login/),
  ]);
});

test("down at AWS ends what there is, which is nothing, and says so", { timeout: 120_000 }, async () => {
  const { code, err } = await home.drover(["down", "--cloud", "aws", "--yes"], 100_000, moto.env);
  expect([code, err]).toEqual([0, expect.stringContaining("nothing of the cluster aws is at AWS")]);
  const listed = await home.drover(["gc", "--cloud", "aws"], 60_000, moto.env);
  expect([listed.code, listed.out.trim()]).toEqual([0, expect.stringMatching(/^KIND +ID/)]);
});
