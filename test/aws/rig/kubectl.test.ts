import { ListHostedZonesCommand, ListResourceRecordSetsCommand, Route53Client } from "@aws-sdk/client-route-53";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { startLoad } from "../../../src/cli/load.ts";
import { type RiggedDrover, startRiggedDrover } from "./drover.ts";

const seconds = 1_000;
const minutes = 60 * seconds;
/** Fewer make it quicker to try something out. */
const replicas = Number(process.env["DROVER_RIG_REPLICAS"] ?? 100);
const secret = "hunter2-of-the-rig";
let drover: RiggedDrover;

beforeAll(async () => {
  drover = await startRiggedDrover();
}, 3 * minutes);

afterAll(() => drover?.close(), minutes);

/** How a poll asks: each kubectl takes the processor from the machines. */
const within = (timeoutSeconds: number) => ({ timeout: timeoutSeconds * seconds, interval: 500 });
const k: RiggedDrover["k"] = (words, input) => drover.k(words, input);
const available = (count: number) =>
  k(`wait --for=jsonpath={.status.availableReplicas}=${count} deployment/web --timeout=400s`);
const podNames = async (selector = "app=web") =>
  (await k(`get pods -l ${selector} -o jsonpath={.items[*].metadata.name}`)).split(" ").filter((name) => name !== "");

const workload = (name: string, count: number, image = "web:1") => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  replicas: ${count}
  selector: {matchLabels: {app: ${name}}}
  strategy: {rollingUpdate: {maxSurge: 50%, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: web
        image: ${image}
        ports: [{containerPort: 8080, name: http}]
        env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: password, key: value}}}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 2}
`;
const service = (name: string, spec: string) => `
---
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}], ${spec}}
`;

test("a Deployment becomes instances behind a network load balancer", { timeout: 12 * minutes }, async () => {
  await k(`create secret generic password --from-literal=value=${secret}`);
  await k("apply -f -", workload("web", replicas) + service("web", "type: LoadBalancer"));
  await k("rollout status deployment/web --timeout=600s");
  expect((await k("get nodes -o name")).trim().split("\n")).toHaveLength(replicas);
  const url = await drover.url("service/web");
  await expect.poll(() => drover.page(url), within(60)).toMatch(/^web:1 on web-/);
});

test("it is rolled and rolled back under load, and nothing is lost", { timeout: 22 * minutes }, async () => {
  const url = await drover.url("service/web");
  const load = startLoad({ clock: systemClock, url, ratePerSecond: 40, slow: { path: "/slow", everyMs: 1_000 } });
  await k("set image deployment/web web=web:2");
  await k("rollout status deployment/web --timeout=600s");
  await expect.poll(() => drover.page(url), within(60)).toMatch(/^web:2 on web-/);
  await k("rollout undo deployment/web");
  await k("rollout status deployment/web --timeout=600s");
  await expect.poll(podNames, within(120)).toHaveLength(replicas);
  const { losses, sent, answeredBy } = await load.stop();
  expect(losses).toEqual({});
  expect(Object.keys(answeredBy).sort()).toEqual(["web:1", "web:2"]);
  expect(sent).toBeGreaterThan(100);
});

// The next three have nothing to do with each other: while one waits, another is asked.
describe.concurrent("of the same Deployment, one after the other", () => {
  test.sequential("logs, exec and a drain work as on any node", { timeout: 9 * minutes }, async ({ expect }) => {
    const [pod = ""] = await podNames();
    expect(await k(`logs ${pod}`)).toContain("listening on port 8080");
    expect(await k(["exec", pod, "--", "sh", "-c", "echo $PASSWORD"])).toContain(secret);
    const node = await k(`get pod ${pod} -o jsonpath={.spec.nodeName}`);
    expect(node).toMatch(/^i-[0-9a-f]+$/);
    await k(`drain ${node} --timeout=400s`);
    await available(replicas);
    expect(await podNames()).not.toContain(pod);
  });

  test.sequential("it is scaled, and a headless Service has a record for each Pod", { timeout: 9 * minutes }, async ({
    expect,
  }) => {
    await k("apply -f -", service("peers", "clusterIP: None"));
    await k(`scale deployment/web --replicas=${replicas + 1}`);
    await available(replicas + 1);
    await expect.poll(() => recordsOf("peers.default.svc."), within(120)).toHaveLength(replicas + 1);
    await k(`scale deployment/web --replicas=${replicas}`);
    await expect.poll(podNames, within(120)).toHaveLength(replicas);
    await expect.poll(() => recordsOf("peers.default.svc."), within(120)).toHaveLength(replicas);
  });

  test.sequential("an instance that is ended by hand is replaced", { timeout: 9 * minutes }, async ({ expect }) => {
    const [pod = ""] = await podNames();
    const node = await k(`get pod ${pod} -o jsonpath={.spec.nodeName}`);
    await drover.rig.ask("ec2", "TerminateInstances", { "InstanceId.1": node });
    await drover.rig.instances.cut(node);
    await expect.poll(podNames, within(120)).not.toContain(pod);
    await available(replicas);
  });
});

test.concurrent("an Ingress becomes an application load balancer with its rules", { timeout: 9 * minutes }, async ({
  expect,
}) => {
  const rule = (path: string, name: string) =>
    `{path: ${path}, pathType: Prefix, backend: {service: {name: ${name}, port: {number: 80}}}}`;
  const other = service("other", "type: NodePort").replace("{app: web}", "{app: other}");
  await k(
    "apply -f -",
    `${workload("other", 1, "web:3")}${other}${service("plain", "type: NodePort")}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: site}
spec:
  rules: [{host: www.example.org, http: {paths: [${rule("/other", "other")}, ${rule("/", "plain")}]}}]
`,
  );
  const url = await drover.url("ingress/site");
  const page = (path: string, host: string) => drover.page(`${url}${path}`, host);
  await expect.poll(() => page("/other/x", "www.example.org"), within(120)).toMatch(/^web:3 on other-/);
  await expect.poll(() => page("/", "www.example.org"), within(120)).toMatch(/^web:1 on web-/);
  expect(await page("/", "other.example.org")).not.toMatch(/web:/);
  await k("delete ingress site");
  await k("delete deployment,service other");
});

test.concurrent("a claim becomes a volume, which the next machine finds as it was left", {
  timeout: 9 * minutes,
}, async ({ expect }) => {
  const pod = (command: string) => `
apiVersion: v1
kind: Pod
metadata: {name: keeper}
spec:
  terminationGracePeriodSeconds: 2
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
  containers:
  - name: keeper
    image: web:1
    command: [sh, -c, "${command}; exec sleep 1000"]
    volumeMounts: [{name: data, mountPath: /data}]
    resources: {requests: {cpu: 100m, memory: 64Mi}}
`;
  const claim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: gp3, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: gp3}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
---`;
  await k("apply -f -", `${claim}${pod("echo kept > /data/file; echo written")}`);
  await k("wait --for=condition=Ready pod/keeper --timeout=400s");
  await expect.poll(() => k("logs keeper"), within(60)).toContain("written");
  const first = await k("get pod keeper -o jsonpath={.spec.nodeName}");
  await k("delete pod keeper");
  await k("apply -f -", pod("cat /data/file"));
  await k("wait --for=condition=Ready pod/keeper --timeout=400s");
  await expect.poll(() => k("logs keeper"), within(60)).toContain("kept");
  expect(await k("get pod keeper -o jsonpath={.spec.nodeName}")).not.toBe(first);
  await k("delete pod keeper");
  await k("delete pvc data --timeout=200s");
});

/** Values of the address records of one name, as moto has them. */
async function recordsOf(name: string): Promise<string[]> {
  const credentials = { accessKeyId: "moto", secretAccessKey: "moto" };
  const client = new Route53Client({ endpoint: drover.rig.moto.url, region: "us-east-1", credentials });
  try {
    const [zone] = (await client.send(new ListHostedZonesCommand({}))).HostedZones ?? [];
    const answer = await client.send(new ListResourceRecordSetsCommand({ HostedZoneId: zone?.Id ?? "" }));
    const records = answer.ResourceRecordSets?.filter(({ Name, Type }) => Name?.startsWith(name) && Type === "A") ?? [];
    return records.flatMap(({ ResourceRecords = [] }) => ResourceRecords.map(({ Value = "" }) => Value));
  } finally {
    client.destroy();
  }
}

test("another drover goes on with what there is", { timeout: 5 * minutes }, async () => {
  const known = await k("get pods -l app=web -o jsonpath={.items[*].metadata.uid}");
  await drover.restart("SIGKILL");
  await systemClock.sleep(10 * seconds);
  expect(await k("get pods -l app=web -o jsonpath={.items[*].metadata.uid}")).toBe(known);
  const [pod = ""] = await podNames();
  // It has to see the machine first.
  const lastLine = async () => await k(`logs ${pod} --tail=1`).catch(String);
  await expect.poll(lastLine, within(60)).toMatch(/GET/);
});

test("no key and no Secret was in any user data", () => {
  const { userData } = drover.rig.instances;
  expect(userData.size).toBeGreaterThan(0);
  const texts = [...userData].join("\n");
  expect(texts).toContain("ssh_authorized_keys");
  for (const word of [secret, Buffer.from(secret).toString("base64"), "PRIVATE KEY"]) expect(texts).not.toContain(word);
});

test("deleted, nothing is left at AWS that costs", { timeout: 9 * minutes }, async () => {
  await k("delete deployment web --timeout=400s");
  await k("delete service web plain peers --timeout=400s");
  const left = async () => {
    const { ask } = drover.rig;
    const filter = { "Filter.1.Name": "instance-state-name", "Filter.1.Value.1": "running" };
    const answers = await Promise.all([
      ask("ec2", "DescribeInstances", filter),
      ask("ec2", "DescribeVolumes", {}),
      ask("elasticloadbalancing", "DescribeLoadBalancers", {}),
      ask("elasticloadbalancing", "DescribeTargetGroups", {}),
    ]);
    return answers.flatMap((answer) => answer.match(/<(instanceId|volumeId|DNSName|TargetGroupName)>[^<]+/g) ?? []);
  };
  await expect.poll(left, within(120)).toEqual([]);
});
