// A rolling update of three real machines, as a user sees it: `drover serve --cloud local`, kubectl, one JSON line a figure.
// The images and saved machines are those of the user's own home, so nothing boots cold when `npm start` has run before.
import { mkdirSync, symlinkSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { DroverHome } from "../test/e2e/drover.ts";

const shared = process.env["DROVER_HOME"] ?? join(homedir(), ".drover");
const home = new DroverHome();
const print = (figure: string, startMs: number) =>
  console.log(JSON.stringify({ figure, value: Math.round((performance.now() - startMs) / 100) / 10, unit: "s" }));

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 8
      containers:
      - name: web
        image: web:1
        ports: [{containerPort: 80, name: http}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
`;

async function k(words: string, input?: string): Promise<void> {
  const { code, err } = await home.kubectl("1.36", words, input, 900_000);
  if (code !== 0) throw new Error(`kubectl ${words}: ${err}`);
}

for (const name of ["cache", "registry", "identity"]) {
  mkdirSync(join(shared, name), { recursive: true });
  symlinkSync(join(shared, name), join(home.folder, name));
}
try {
  await home.serve("--cloud", "local");
  const applyMs = performance.now();
  await k("apply -f -", manifest);
  await k("rollout status deployment/web --timeout=900s");
  print("3 machines: apply to all available", applyMs);
  for (const image of ["web:2", "web:1"]) {
    const rollMs = performance.now();
    await k(`set image deployment/web web=${image}`);
    await k("rollout status deployment/web --timeout=900s");
    print(`3 machines: rolling update to ${image}`, rollMs);
  }
} finally {
  await home.stop("SIGTERM");
  await home.drover(["gc", "--end", "local"], 120_000);
  await home.close();
}
