import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { startLoad } from "../../../src/cli/load.ts";
import { searchPath } from "../../../src/clouds/local/search-path.ts";
import { type RiggedDrover, startRiggedDrover } from "./drover.ts";
import { openQemuMachines, type QemuMachines } from "./qemu.ts";
import { textsOf } from "./request.ts";

// Instances that moto launched as real machines: emulated ones, which boot from the user data that moto has stored.
const seconds = 1_000;
const minutes = 60 * seconds;
const replicas = 2;
/** One of the names that moto knows machine images by; its tag says of which family the machines here are. */
const image = "ami-785db401";
/** A boot takes one to two minutes where nothing but emulation works, and other tests want the processor too. */
const bootMs = 15 * minutes;
/** Far more than what has begun needs to end on a quiet computer, where nothing waits for it to be over. */
const graceSeconds = 60;
/** Four emulated machines on two cores are in no hurry. */
const answerMs = 2 * minutes;

const missing = ["qemu-system-x86_64", "qemu-img", "debugfs"].find(
  (program) => spawnSync("sh", ["-c", `command -v ${program}`], { env: { PATH: searchPath() } }).status !== 0,
);
if (missing !== undefined) process.stderr.write(`no machines on the rig: ${missing} is not there; run drover setup\n`);

test("what machines need is here, or it is said that they are left out", () => {
  if (process.env["CI"]) expect(missing, "CI must have it").toBeUndefined();
});

describe.skipIf(missing !== undefined)("instances that are machines", () => {
  let machines: QemuMachines;
  let drover: RiggedDrover;

  beforeAll(async () => {
    machines = await openQemuMachines(["web:1", "web:2"]);
    const times = { lookEveryMs: seconds, drainMs: 2 * seconds, speed: 10 };
    drover = await startRiggedDrover({ times, machines: { image, start: machines.start } });
    const tag = { "ResourceId.1": image, "Tag.1.Key": "drover.dev/family", "Tag.1.Value": "debian" };
    await drover.rig.ask("ec2", "CreateTags", tag);
  }, 10 * minutes);

  afterAll(async () => {
    try {
      await drover?.close();
    } finally {
      await machines?.close();
    }
  }, minutes);

  const k: RiggedDrover["k"] = (words, input) => drover.k(words, input);
  const fields = async (path: string) =>
    (await k(["get", "pods", "-l", "app=web", "-o", `jsonpath={.items[*]${path}}`])).split(" ").filter((each) => each);
  /** Of the user data that moto has for an instance. */
  const storedDigest = async (InstanceId: string) => {
    const answer = await drover.rig.ask("ec2", "DescribeInstanceAttribute", { InstanceId, Attribute: "userData" });
    const [stored = ""] = textsOf(answer, "value");
    return createHash("sha256").update(Buffer.from(stored, "base64")).digest("hex");
  };
  /** Until the rollout is done, and only Pods of this image are left. */
  const settled = async (reference: string, timeout: number) => {
    const done = () => k("rollout status deployment/web --timeout=200s");
    await expect.poll(done, { timeout }).toContain("successfully rolled out");
    const images = () => fields(".spec.containers[0].image");
    await expect.poll(images, { timeout: answerMs, interval: 2 * seconds }).toEqual(Array(replicas).fill(reference));
  };

  test("two boot from what moto stored, by cloud-init's source for EC2", {
    timeout: bootMs + 4 * minutes,
  }, async () => {
    await k("apply -f -", manifest);
    await settled("web:1", bootMs);
    const { userData } = drover.rig.instances;
    expect(userData.size).toBe(1);
    const nodes = await fields(".spec.nodeName");
    expect((await machines.running()).sort()).toEqual([...nodes].sort());
    for (const node of nodes) {
      expect(machines.console(node)).toMatch(/Cloud-init v\. .* running 'init'/);
      const asked = [...machines.asked(node)];
      expect(asked).toContain("PUT /latest/api/token 200");
      expect(asked).toContainEqual(expect.stringMatching(/^GET \/[\d-]+\/user-data 200$/));
    }
    const url = await drover.url("service/web");
    await expect.poll(() => drover.page(url), { timeout: answerMs }).toMatch(/^web:1 on web-/);
  });

  test("kubectl reaches them by logs and exec", { timeout: 4 * minutes }, async () => {
    for (const pod of await fields(".metadata.name")) {
      const run = (...words: string[]) => k(["exec", pod, "--", ...words]);
      expect((await run("hostname")).trim()).toBe(pod);
      const { v1 } = JSON.parse(await run("cat", "/seen/data/status.json"));
      expect(v1.datasource).toMatch(/^DataSourceEc2/);
      for (const stage of ["init-local", "init", "modules-config"]) expect(v1[stage].errors).toEqual([]);
      const node = await k(`get pod ${pod} -o jsonpath={.spec.nodeName}`);
      const booted = await run("busybox", "sha256sum", `/seen/instances/${node}/user-data.txt`);
      expect(booted.split(" ")[0]).toBe(await storedDigest(node));
      expect(await k(`logs ${pod} --tail=3`)).toContain("GET / HTTP/1.1");
    }
    expect(await k("get pods -o wide")).toMatch(/web-\S+ +1\/1 +Running .* i-[0-9a-f]{17} /);
    expect(await k("get nodes")).toMatch(/i-[0-9a-f]{17} +Ready/);
  });

  test("they are rolled under load, and nothing is lost", { timeout: 2 * bootMs + 4 * minutes }, async () => {
    const url = await drover.url("service/web");
    const slow = { path: "/slow", everyMs: 2_000 };
    const load = startLoad({ clock: systemClock, url, ratePerSecond: 10, slow, timeoutMs: answerMs });
    const before = await fields(".spec.nodeName");
    await k("set image deployment/web web=web:2");
    await settled("web:2", 2 * bootMs);
    await expect.poll(() => drover.page(url), { timeout: answerMs }).toMatch(/^web:2 on web-/);
    const { losses, sent, answeredBy } = await load.stop();
    expect(losses).toEqual({});
    expect(Object.keys(answeredBy)).toEqual(expect.arrayContaining(["web:1", "web:2"]));
    expect(sent).toBeGreaterThan(500);
    for (const node of await fields(".spec.nodeName")) expect(before).not.toContain(node);
  });

  test("deleted, no machine runs any more", { timeout: 4 * minutes }, async () => {
    await k("delete deployment,service web --timeout=120s");
    await expect.poll(() => machines.running(), { timeout: 2 * minutes }).toEqual([]);
  });
});

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: ${replicas}
  progressDeadlineSeconds: 3600
  selector: {matchLabels: {app: web}}
  # Both successors boot at the same time, while both predecessors serve.
  strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: ${graceSeconds}
      volumes: [{name: seen, hostPath: {path: /var/lib/cloud}}]
      containers:
      - name: web
        image: web:1
        ports: [{containerPort: 80, name: http}]
        volumeMounts: [{name: seen, mountPath: /seen, readOnly: true}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 2, timeoutSeconds: 10}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: http}]}
`;
