import { mkdirSync, symlinkSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { commandLine, processIds } from "../../src/clouds/local/identity.ts";
import { kubectl, kubectlVersions } from "../clients/kubectl.ts";
import { onTerminal } from "../clients/terminal.ts";
import { takeSnapshot } from "../clouds/local/snapshot.ts";
import { DroverHome, run } from "./drover.ts";
import { WebService } from "./web-service.ts";
import { withoutDrain } from "./without-drain.ts";

// Real virtual machines behind real haproxy, through the commands a user types. The images, the saved machine and the
// key that is in it are those of the user's own home (`drover setup` made them); clusters, data and sockets are the test's.
const shared = process.env["DROVER_HOME"] ?? join(homedir(), ".drover");
const minutes = 60_000;
const home = new DroverHome();
const before = takeSnapshot(home.folder);

beforeAll(async () => {
  for (const name of ["cache", "registry", "identity"]) {
    mkdirSync(join(shared, name), { recursive: true });
    symlinkSync(join(shared, name), join(home.folder, name));
  }
  await before;
  await home.serve("--cloud", "local");
}, 2 * minutes);

afterAll(async () => {
  await home.drover(["gc", "--end", "local"], minutes);
  await home.close();
}, 2 * minutes);

const k = async (words: string | string[], input?: string, timeoutMs = 10 * minutes): Promise<string> => {
  const { code, out, err } = await home.kubectl("1.36", words, input, timeoutMs);
  expect(code, `kubectl ${words}: ${err}`).toBe(0);
  return out;
};

const slow = { path: "/slow", everyMs: 1_000 };
const web = new WebService({ home, name: "web", slow, abrupt: false });
const identities = () =>
  k([
    "get",
    "pods",
    "-l",
    "app=web",
    "-o",
    "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].state.running.startedAt}{end}",
  ]);

test("a Deployment becomes machines behind a load balancer", { timeout: 12 * minutes }, async () => {
  await web.start("web:1", 2);
  expect(await k("get nodes")).toMatch(/Ready/);
});

test("a rolling update under load loses nothing", { timeout: 5 * minutes }, async () => {
  const { sent, losses } = await web.underLoad(() => web.roll("web:2", 2));
  expect(losses).toEqual({});
  expect(sent).toBeGreaterThan(200);
});

test("drover stopped for a while and started again adopts everything, and nothing is lost", {
  timeout: 5 * minutes,
}, async () => {
  const known = await identities();
  const { losses } = await web.underLoad(async () => {
    expect(await home.stop("SIGTERM")).toBe(0);
    await systemClock.sleep(60_000);
    await home.serve("--cloud", "local");
    await systemClock.sleep(10_000);
  });
  expect(await identities()).toBe(known);
  expect(losses).toEqual({});
});

// These have nothing to do with each other: one's machine starts while another's is asked.
test.concurrent("a claim's disk keeps what one machine wrote for the next", { timeout: 8 * minutes }, async ({
  expect,
}) => {
  const claim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: notes}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
`;
  const writer = (name: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: shell
    image: web:1
    command: [sh, -c, "echo ${name} >>/notes/names; sleep 10000"]
    volumeMounts: [{name: notes, mountPath: /notes}]
    resources: {requests: {cpu: 100m, memory: 64Mi}}
  volumes: [{name: notes, persistentVolumeClaim: {claimName: notes}}]
`;
  await k("apply -f -", claim);
  const nodes: string[] = [];
  for (const name of ["first", "second"]) {
    await k("apply -f -", writer(name));
    await k(`wait --for=condition=Ready pod/${name} --timeout=300s`);
    nodes.push(await k(`get pod ${name} -o jsonpath={.spec.nodeName}`));
    expect(await k(["exec", name, "--", "sh", "-c", "grep /notes /proc/mounts"])).toMatch(/^\/dev\/\S+ \/notes ext4 /);
    if (name === "second") expect(await k(["exec", name, "--", "cat", "/notes/names"])).toBe("first\nsecond\n");
    await k(`delete pod ${name} --timeout=120s`);
  }
  expect(new Set(nodes).size).toBe(2);
  expect(await k("get pvc notes")).toMatch(/Bound +pvc-\S+ +64Mi +RWO/);
  await k("delete pvc notes --timeout=120s");
  await expect.poll(() => k("get pv -o name"), { timeout: minutes }).toBe("");
});

test.concurrent("a Pod of two containers shares localhost, finds a Service by name with another port, and a machine by node port", {
  timeout: 6 * minutes,
}, async ({ expect }) => {
  const pod = `
apiVersion: v1
kind: Pod
metadata: {name: duo}
spec:
  # Its shell does not listen when it is told to end.
  terminationGracePeriodSeconds: 1
  containers:
  - {name: web, image: "nginx:1.20.1", resources: {requests: {cpu: 50m, memory: 32Mi}}}
  - name: shell
    image: web:1
    command: [sh, -c, "while :; do wget -q -O - http://localhost/; sleep 2; done"]
    resources: {requests: {cpu: 50m, memory: 32Mi}}
`;
  await k("apply -f -", pod);
  await k("wait --for=condition=Ready pod/duo --timeout=300s");
  await expect
    .poll(() => k("logs duo -c shell --tail=1"), { timeout: 30_000 })
    .toContain("a stand-in for nginx:1.20.1");
  for (const name of ["web", "web.default", "web.default.svc.cluster.local"]) {
    expect(await k(["exec", "duo", "-c", "shell", "--", "wget", "-q", "-O", "-", `http://${name}:8080/`])).toMatch(
      /^web:2 on web-/,
    );
  }
  await k(
    "apply -f -",
    `
apiVersion: v1
kind: Service
metadata: {name: doors}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
`,
  );
  const address = await k("get pods -l app=web -o jsonpath={.items[0].status.podIP}");
  const door = ["exec", "duo", "-c", "shell", "--", "wget", "-q", "-O", "-", `http://${address}:30080/`];
  const asked = async () => (await home.kubectl("1.36", door)).out;
  await expect.poll(asked, { timeout: 30_000 }).toMatch(/^web:2 on web-/);
  await k("delete service doors");
  await expect.poll(asked, { timeout: 30_000 }).toBe("");
  await k("delete pod duo --timeout=120s");
});

test.concurrent("a bare Pod nginx:1.20.1 runs (a stand-in image under that name)", { timeout: 6 * minutes }, async ({
  expect,
}) => {
  await k(
    "apply -f -",
    `
apiVersion: v1
kind: Pod
metadata: {name: nginx}
spec:
  containers:
  - {name: nginx, image: "nginx:1.20.1", resources: {requests: {cpu: 100m, memory: 64Mi}}}
`,
  );
  await k("wait --for=condition=Ready pod/nginx --timeout=300s");
  expect(await k("describe pod nginx")).toContain("InService");
  await k("delete pod nginx --timeout=120s");
});

test.concurrent.for(kubectlVersions)(
  "kubectl %s reaches the machine by logs, exec and port-forward",
  { timeout: 3 * minutes },
  async (version, { expect }) => {
    const pod = (await k("get pods -l app=web -o jsonpath={.items[0].metadata.name}")).trim();
    expect((await home.kubectl(version, `logs ${pod} --tail=5`)).out).toContain("GET / HTTP/1.1");
    // The readiness probe asks every second, so new lines come.
    const followed = await home.kubectl(version, `logs -f ${pod} --tail=1`, undefined, 10_000);
    expect(followed.out.trim().split("\n").length).toBeGreaterThan(1);
    const { code, out } = await home.kubectl(version, ["exec", pod, "--", "sh", "-c", "hostname; exit 3"]);
    expect([code, out.trim()]).toEqual([3, pod]);
    const words = [await kubectl(version), "exec", "-it", pod, "--", "sh", "-c", "tty; exit 4"];
    const terminal = await run(onTerminal(words), { env: home.env, timeoutMs: 30_000 });
    expect([terminal.code, terminal.out]).toEqual([4, expect.stringContaining("/dev/pts/")]);
    const port = 20_000 + ((process.pid + kubectlVersions.indexOf(version)) % 10_000);
    const forward = home.kubectl(version, `port-forward ${pod} ${port}:80`, undefined, 30_000);
    const page = async () => (await run(["curl", "-s", "-m", "5", `http://127.0.0.1:${port}/`])).out;
    await expect.poll(page, { timeout: 25_000 }).toContain(pod);
    await forward;
  },
);

test("a killed machine is replaced", { timeout: 6 * minutes }, async () => {
  const [node = "", pod = ""] = (
    await k(["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].spec.nodeName} {.items[0].metadata.name}"])
  ).split(" ");
  const machines = processIds().filter((pid) => commandLine(pid).includes("qemu") && commandLine(pid).includes(node));
  expect(machines).toHaveLength(1);
  for (const pid of machines) process.kill(pid, "SIGKILL");
  await expect.poll(() => k("get pods -l app=web -o name"), { timeout: 60_000 }).not.toContain(pod);
  await k("rollout status deployment/web --timeout=240s");
  await k("wait --for=jsonpath={.status.availableReplicas}=2 deployment/web --timeout=240s");
});

test("a drain and a scale-down under load lose nothing", { timeout: 8 * minutes }, async () => {
  const { losses } = await web.underLoad(async () => {
    await web.drain(2);
    await web.scale(1);
    await systemClock.sleep(15_000);
  });
  expect(losses).toEqual({});
});

test("a drover that does not drain loses requests of a server that ends at once, drover itself none", {
  timeout: 12 * minutes,
}, async () => {
  const abrupt = new WebService({ home, name: "abrupt", slow, abrupt: true });
  const swap = async (main: string) => {
    expect(await home.stop()).toBe(0);
    home.main = main;
    await home.serve("--cloud", "local");
  };
  const { main } = home;
  await abrupt.start("web:1", 2);
  expect((await abrupt.underLoad(() => abrupt.drain(2))).losses).toEqual({});
  await swap(withoutDrain(home.folder));
  try {
    // A stop that a busy computer delays may come when every answer is over, but not three times.
    const lossesOf = async (work: (image: string) => Promise<void>) => {
      for (const image of ["web:2", "web:1", "web:2"]) {
        const { losses } = await abrupt.underLoad(() => work(image));
        if (Object.keys(losses).length > 0) return losses;
      }
      return {};
    };
    expect(await lossesOf(() => abrupt.drain(2))).not.toEqual({});
    expect(await lossesOf((image) => abrupt.roll(image, 2))).not.toEqual({});
  } finally {
    await swap(main);
  }
  await abrupt.remove();
});

test("what was deleted is gone, and the end of the cluster leaves nothing", { timeout: 3 * minutes }, async () => {
  await web.remove();
  expect(await home.stop()).toBe(0);
  expect((await home.drover(["gc", "--end", "local"])).code).toBe(0);
  const after = await takeSnapshot(home.folder);
  expect(after.processes).toEqual([]);
  expect(after.namespaces).toEqual([]);
  const { interfaces, mounts, tables } = await before;
  const added = (now: readonly string[], then: readonly string[]) => now.filter((each) => !then.includes(each));
  expect(added(after.interfaces, interfaces)).toEqual([]);
  expect(added(after.mounts, mounts)).toEqual([]);
  expect(added(after.tables, tables)).toEqual([]);
});
