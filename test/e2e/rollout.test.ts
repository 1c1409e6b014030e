import { join } from "node:path";
import { afterAll, beforeAll, describe, type ExpectStatic, test } from "vitest";
import { kubectlVersions } from "../clients/kubectl.ts";
import { DroverHome } from "./drover.ts";

// A Deployment's whole life with real kubectl, oldest to newest and all at once, against `drover serve --cloud sim`.
// Slow enough that a Pod is told to boot before a look at its machine shows that it runs, on a busy computer too.
const home = new DroverHome();
beforeAll(() => home.serve("--cloud", "sim", "--speed", "40"));
afterAll(() => home.close());

const manifest = (image = "web:1") => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: web
        image: ${image}
        ports: [{containerPort: 80, name: http}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
`;

describe.for(kubectlVersions)("kubectl %s", { concurrent: true, timeout: 120_000 }, (version) => {
  const namespace = `roll-${version.replace(".", "-")}`;
  const own = `--namespace ${namespace} --cache-dir ${join(home.folder, `cache-${version}`)}`;
  const k = async (words: string, input?: string): Promise<string> => {
    const { code, out, err } = await home.kubectl(version, `${own} ${words}`, input, 100_000);
    if (code !== 0) throw new Error(`kubectl ${words} ended with ${code}: ${err}`);
    return out;
  };
  const rolled = async (expect: ExpectStatic) =>
    expect(await k("rollout status deployment/web --timeout=60s")).toContain("successfully rolled out");
  const images = () => k("get pods -o jsonpath={.items[*].spec.containers[*].image}");

  test.sequential("applies, and says unchanged when applied again", async ({ expect }) => {
    await k(`create namespace ${namespace}`);
    expect(await k("apply -f -", manifest())).toContain("deployment.apps/web created");
    await rolled(expect);
    expect(await k("apply -f -", manifest())).toContain("deployment.apps/web unchanged");
    expect(await k("get deployment web")).toMatch(/web\s+2\/2\s+2\s+2/);
    expect(await k("get pods -o wide")).toMatch(/1\/1\s+Running/);
  });

  test.sequential("describes what the machines went through", async ({ expect }) => {
    const name = await k("get pods -l app=web -o jsonpath={.items[0].metadata.name}");
    const text = await k(`describe pod ${name}`);
    for (const word of ["Requested", "Booting", "InService", "Node:", "Ready"]) expect(text).toContain(word);
    expect(await k("describe deployment web")).toContain("NewReplicaSetAvailable");
    expect(await k("describe service web")).toMatch(/LoadBalancer Ingress:\s+127\.77\./);
  });

  test.sequential("scales up and down", async () => {
    await k("scale deployment/web --replicas=3");
    await k("wait --for=jsonpath={.status.availableReplicas}=3 deployment/web --timeout=60s");
    await k("scale deployment/web --current-replicas=3 --replicas=1");
    await k("wait --for=jsonpath={.status.replicas}=1 deployment/web --timeout=60s");
  });

  test.sequential("rolls to another image and back", async ({ expect }) => {
    await k("set image deployment/web web=web:2");
    await rolled(expect);
    expect(await k("rollout history deployment/web")).toMatch(/1\s+<none>\n2\s+<none>/);
    await k("rollout undo deployment/web --to-revision=1");
    await rolled(expect);
    await k("wait --for=jsonpath={.spec.template.spec.containers[0].image}=web:1 deployment/web");
    expect(await k("rollout history deployment/web")).toMatch(/2\s+<none>\n3\s+<none>/);
  });

  test.sequential("pauses, resumes and restarts a rollout", async ({ expect }) => {
    await k("rollout pause deployment/web");
    await k("set image deployment/web web=web:3");
    await k("wait --for=condition=Progressing=Unknown deployment/web --timeout=30s");
    expect(await images()).not.toContain("web:3");
    await k("rollout resume deployment/web");
    await rolled(expect);
    expect(await k("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}")).toBe("web:3");
    await k("rollout restart deployment/web");
    await rolled(expect);
    expect(await k("get replicasets -o name")).toMatch(/(replicaset.*\n){3}/);
  });

  test.sequential("shows what an apply would change", async ({ expect }) => {
    const { code, out } = await home.kubectl(version, `${own} diff -f -`, manifest("web:4"));
    expect(code).toBe(1);
    expect(out).toMatch(/-\s+- image: web:3\n|-\s+image: web:3\n/);
    expect(out).toMatch(/\+\s+(- )?image: web:4/);
  });

  test.sequential("drains a machine and replaces its Pod", async ({ expect }) => {
    const node = await k("get pods -l app=web -o jsonpath={.items[0].spec.nodeName}");
    const before = await k("get pods -l app=web -o jsonpath={.items[0].metadata.name}");
    await k(`drain ${node} --force --timeout=60s`);
    await k("wait --for=jsonpath={.status.availableReplicas}=1 deployment/web --timeout=60s");
    expect(await k("get pods -l app=web -o name")).not.toContain(before);
  });

  test.sequential("deletes everything it made", async () => {
    await k("delete -f - --timeout=60s", manifest());
    await k("wait --for=delete pods -l app=web --timeout=60s");
    await k(`delete namespace ${namespace} --timeout=60s`);
  });
});
