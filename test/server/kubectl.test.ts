import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test, vi } from "vitest";
import { kubectl, kubectlVersions } from "../clients/kubectl.ts";
import { serve, type TestServer } from "./serve.ts";

// Real kubectl, oldest to newest and all at once, against a real server with controllers and a simulated cloud.
let server: TestServer;
beforeAll(async () => {
  server = await serve({ controllers: true });
});
afterAll(() => server.close());

type Result = { code: number | null; out: string; err: string };

type Running = {
  /** What it has said so far. */
  said: Omit<Result, "code">;
  ended: Promise<Result>;
  end(): void;
};

function start(program: string, args: readonly string[], input = ""): Running {
  const env = { PATH: process.env["PATH"], HOME: server.folder, KUBECONFIG: server.kubeconfig };
  const child = spawn(program, args, { env, timeout: 60_000 });
  const said = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    said.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    said.err += chunk;
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const ended = once(child, "close").then(([code]) => ({ code, ...said }));
  return { said, ended, end: () => void child.kill() };
}

const web = (image = "nginx:1.27", replicas = 2) => `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: ${replicas}
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: ${image}
        ports:
        - containerPort: 80
        resources:
          requests: {cpu: 100m, memory: 128Mi}
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports:
  - port: 80
    targetPort: 80
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  colour: blue
`;

describe.for(kubectlVersions)("kubectl %s", { concurrent: true, timeout: 120_000 }, (version) => {
  const namespace = `k${version.replace(".", "")}`;
  let program = "";
  const begin = (args: string | readonly string[], input?: string) => {
    const cache = join(server.folder, `cache-${version}`);
    const words = typeof args === "string" ? args.split(" ") : args;
    return start(program, ["--cache-dir", cache, "--namespace", namespace, ...words], input);
  };
  const call = (args: string | readonly string[], input?: string) => begin(args, input).ended;
  /** The output of a command that must succeed. */
  const ok = async (args: string, input?: string): Promise<string> => {
    const { code, out, err } = await call(args, input);
    if (code !== 0) throw new Error(`kubectl ${args} ended with ${code}: ${err}${out}`);
    return out;
  };
  beforeAll(async () => {
    program = await kubectl(version);
  }, 120_000);

  test.sequential("apply creates, and again says unchanged", async ({ expect }) => {
    expect(await ok(`create namespace ${namespace}`)).toContain("created");
    const first = await ok("apply -f -", web());
    expect(first).toBe("deployment.apps/web created\nservice/web created\nconfigmap/settings created\n");
    const again = await ok("apply -f -", web());
    expect(again).toBe("deployment.apps/web unchanged\nservice/web unchanged\nconfigmap/settings unchanged\n");
  });

  test.sequential("wait and rollout status see the Deployment through", async ({ expect }) => {
    expect(await ok("rollout status deployment/web --timeout=60s")).toContain("successfully rolled out");
    expect(await ok("wait --for=condition=Available deployment/web --timeout=60s")).toContain("condition met");
  });

  test.sequential("get shows columns, wide ones too", async ({ expect }) => {
    expect(await ok("get deployments")).toMatch(/NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +2\/2 +2 +2 /);
    expect(await ok("get pods -o wide")).toMatch(/NAME +READY +STATUS +RESTARTS +AGE +IP +NODE /);
    expect(await ok("get service web -o wide")).toMatch(/web +ClusterIP +10\.\S+ +<none> +80\/TCP +\S+ +app=web/);
    expect(await ok("get all")).toContain("deployment.apps/web");
  });

  test.sequential("get -w prints what is and then what happens", async ({ expect, onTestFinished }) => {
    const { said, end } = begin("get configmaps -w");
    onTestFinished(end);
    const shows = (line: RegExp) => vi.waitFor(() => expect(said.out).toMatch(line), 30_000);
    await shows(/NAME +DATA +AGE\n(.*\n)*settings +1 /);
    expect(said.out).not.toContain("seen");
    await ok("create configmap seen --from-literal=a=b");
    await shows(/\nseen +1 /);
  });

  test.sequential("describe tells of the object and its events", async ({ expect }) => {
    const text = await ok("describe deployment web");
    expect(text).toMatch(/Replicas: +2 desired \| 2 updated \| 2 total \| 2 available/);
    expect(text).toContain("ScalingReplicaSet");
  });

  test.sequential("label, annotate and patch change one thing", async ({ expect }) => {
    expect(await ok("label configmap settings tier=front")).toContain("labeled");
    expect(await ok("annotate configmap settings note=hello")).toMatch(/annotated?\n/);
    expect(await ok(`patch configmap settings -p {"data":{"size":"9"}}`)).toContain("patched");
    expect(await ok(`patch configmap settings --type=merge -p {"data":{"colour":null}}`)).toContain("patched");
    expect(await ok(`patch configmap settings --type=json -p [{"op":"add","path":"/data/x","value":"y"}]`)).toContain(
      "patched",
    );
    expect(await ok("get configmaps -l tier=front -o jsonpath={.items[*].data}")).toBe('{"size":"9","x":"y"}');
  });

  test.sequential("diff tells what apply would do, with its exit code", async ({ expect }) => {
    const { code, out } = await call("diff -f -", web("nginx:1.28"));
    expect(code).toBe(1);
    expect(out).toContain("+      - image: nginx:1.28");
  });

  test.sequential("generators send protobuf and are understood", async ({ expect }) => {
    expect(await ok("create deployment made --image=nginx --replicas=0")).toContain("created");
    expect(await ok("create secret generic keys --from-literal=a=b")).toContain("created");
    expect(await ok("get secret keys -o jsonpath={.data.a}")).toBe("Yg==");
    expect(await ok("create serviceaccount robot")).toContain("created");
    expect((await ok("create token robot")).split(".")).toHaveLength(3);
  });

  test.sequential("logs and exec reach the machine", async ({ expect }) => {
    expect((await call("logs deployment/web --tail=5")).code).toBe(0);
    const { code, out } = await call(["exec", "deployment/web", "--", "sh", "-c", "exit 3"]);
    expect({ code, out }).toEqual({ code: 3, out: "" });
  });

  test.sequential("scale, set image, history and undo roll the Deployment", async ({ expect }) => {
    await ok("scale deployment/web --replicas=3");
    await ok("set image deployment/web web=nginx:1.28");
    expect(await ok("rollout status deployment/web --timeout=60s")).toContain("successfully rolled out");
    expect(await ok("rollout history deployment/web")).toMatch(/1 +<none>\n2 +<none>/);
    await ok("rollout undo deployment/web");
    expect(await ok("rollout status deployment/web --timeout=60s")).toContain("successfully rolled out");
    expect(await ok("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}")).toBe("nginx:1.27");
  });

  test.sequential("pause, resume and restart", async ({ expect }) => {
    expect(await ok("rollout pause deployment/web")).toContain("paused");
    expect(await ok("rollout resume deployment/web")).toContain("resumed");
    expect(await ok("rollout restart deployment/web")).toContain("restarted");
    expect(await ok("rollout status deployment/web --timeout=60s")).toContain("successfully rolled out");
  });

  test.sequential("explain, api-resources and api-versions know the kinds", async ({ expect }) => {
    expect(await ok("explain deployment.spec.strategy.rollingUpdate")).toContain("maxSurge");
    const names = (await ok("api-resources --no-headers -o name")).split("\n");
    expect(names).toEqual(expect.arrayContaining(["pods", "deployments.apps", "endpointslices.discovery.k8s.io"]));
    expect(await ok("api-versions")).toContain("apps/v1");
  });

  test.sequential("auth says who one is and what one may", async ({ expect }) => {
    if (version !== "1.27") expect(await ok("auth whoami")).toMatch(/Username +admin/);
    expect(await ok("auth can-i create deployments")).toBe("yes\n");
  });

  test.sequential("a wrong field is refused before anything is stored", async ({ expect }) => {
    const { code, err } = await call("apply -f -", web().replace("replicas:", "replica:"));
    expect(code).toBe(1);
    expect(err).toMatch(/unknown field "spec.replica"/);
  });

  test.sequential("delete waits until the objects are gone", async ({ expect }) => {
    const out = await ok("delete -f - --timeout=60s", web());
    expect(out).toContain('deployment.apps "web" deleted');
    expect((await call("get deployment web")).err).toContain('deployments.apps "web" not found');
    await vi.waitFor(async () => expect(await ok("get pods -l app=web -o name")).toBe(""), 60_000);
  });
});
