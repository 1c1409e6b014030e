import { execFile } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kubectl, kubectlVersions } from "../clients/kubectl.ts";
import { serve, type TestServer } from "./serve.ts";

// What clients learn from the OpenAPI documents, oldest to newest.
let server: TestServer;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server.close());

type Result = { code: number; text: string };

describe.for(kubectlVersions)("kubectl %s", (version) => {
  async function run(args: string[], input = ""): Promise<Result> {
    const env = { PATH: process.env["PATH"], HOME: server.folder, KUBECONFIG: server.kubeconfig };
    const cache = `--cache-dir=${join(server.folder, version)}`;
    const program = await kubectl(version);
    return new Promise((resolve) => {
      const child = execFile(program, [cache, ...args], { env, timeout: 30_000 }, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === "number" ? error.code : error ? 1 : 0, text: stdout + stderr });
      });
      child.stdin?.end(input);
    });
  }

  test("explain names fields, types, enums and what is required", async () => {
    const { code, text } = await run(["explain", "deployment.spec"]);
    expect(code, text).toBe(0);
    expect(text).toMatch(/KIND: +Deployment\nVERSION: +(apps\/)?v1/);
    expect(text).toMatch(/template\s+<PodTemplateSpec>.* -required-/);
    const port = await run(["explain", "pod.spec.containers.ports", "--recursive"]);
    expect(port.text).toMatch(/containerPort\s+<integer>/);
    const policy = await run(["explain", "pod.spec.restartPolicy"]);
    expect(policy.code, policy.text).toBe(0);
    const unknown = await run(["explain", "pod.spec.nope"]);
    expect(unknown.code).not.toBe(0);
  });

  test("an unknown field is refused when it is created and when it is applied", async () => {
    const name = `strict-${version.replace(".", "-")}`;
    const manifest = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, dta: { a: "b" } });
    const created = await run(["create", "-f", "-"], manifest);
    expect(created).toEqual({ code: 1, text: expect.stringContaining('unknown field "dta"') });
    const applied = await run(["apply", "-f", "-"], manifest);
    expect(applied).toEqual({ code: 1, text: expect.stringContaining('unknown field "dta"') });
    const lax = await run(["create", "--validate=false", "-f", "-"], manifest);
    expect(lax.code, lax.text).toBe(0);
  });

  test("a wrong type is refused", async () => {
    const metadata = { name: "typed" };
    const manifest = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { a: 1 } });
    const { code, text } = await run(["create", "-f", "-"], manifest);
    expect(code).toBe(1);
    expect(text).toContain("cannot unmarshal number into Go struct field ConfigMap.data of type string");
  });
});
