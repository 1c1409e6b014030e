import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { parse } from "yaml";
import { renderCommand } from "../../src/cli/render.ts";

const manifest = `apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  nodeSelector: { kubernetes.io/arch: arm64 }
  containers: [{ name: web, image: "nginx:1" }]
`;

test.for([
  ["debian", [], "podman iptables xfsprogs"],
  ["ubuntu", ["--family", "ubuntu"], "podman iptables xfsprogs"],
  ["amazon-linux", ["--family", "amazon-linux"], "dnf -q -y install docker"],
  ["amazon-linux", ["--family", "amazon-linux", "--engine", "native"], "dnf -q -y install nftables nginx"],
  ["other", ["--family", "other"], ""],
] as const)("the user data of a machine image of %s, %j", async ([family, words, installed]) => {
  const folder = mkdtempSync(join(tmpdir(), "drover-render-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "web.yaml");
  writeFileSync(file, manifest);
  const written: string[] = [];
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
  await renderCommand().parseAsync(["-f", file, ...words], { from: "user" });
  spy.mockRestore();
  const [first = "", ...rest] = written.join("").split("\n");
  expect(first).toBe(`# web: ${family}, arm64, 400m CPU, 512Mi memory`);
  const files: { path: string; content: string }[] = parse(rest.join("\n")).write_files;
  const unit = files.find(({ path }) => path.endsWith("/drover-engine.service"))?.content ?? "";
  expect(unit.replaceAll(`"`, "")).toContain(installed);
  if (installed === "") expect(unit).toBe("");
});
