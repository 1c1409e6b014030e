import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { run } from "../../../src/clouds/local/command.ts";
import { parseReference } from "../../../src/clouds/local/image-reference.ts";
import {
  ensureRegistry,
  listImages,
  loadedDigest,
  loadImage,
  registryMirror,
} from "../../../src/clouds/local/registry.ts";
import { openTools, type Tools } from "../../../src/clouds/local/tools.ts";
import { build, startHolder } from "./holder-home.ts";

let tools: Tools;
beforeAll(async () => {
  build();
  tools = await openTools();
}, 300_000);

/** An OCI archive of one image with one file, built by hand. */
async function makeArchive(folder: string): Promise<string> {
  const tree = join(folder, "image");
  mkdirSync(join(tree, "blobs/sha256"), { recursive: true });
  writeFileSync(join(folder, "hello"), "hello\n");
  await run(["tar", "-C", folder, "-cf", join(folder, "layer.tar"), "hello"]);
  const layer = await import("node:fs").then((fs) => fs.readFileSync(join(folder, "layer.tar")));
  const put = (bytes: Buffer) => {
    const digest = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(tree, "blobs/sha256", digest), bytes);
    return { digest: `sha256:${digest}`, size: bytes.length };
  };
  const json = (value: unknown) => put(Buffer.from(JSON.stringify(value)));
  const stored = put(layer);
  const rootfs = { type: "layers", diff_ids: [stored.digest] };
  const type = "application/vnd.oci.image";
  const manifest = json({
    schemaVersion: 2,
    mediaType: `${type}.manifest.v1+json`,
    config: { mediaType: `${type}.config.v1+json`, ...json({ architecture: "amd64", os: "linux", rootfs }) },
    layers: [{ mediaType: `${type}.layer.v1.tar`, ...stored }],
  });
  writeFileSync(join(tree, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const manifests = [{ mediaType: `${type}.manifest.v1+json`, ...manifest }];
  writeFileSync(join(tree, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  await run(["tar", "-C", tree, "-cf", join(folder, "image.tar"), "."]);
  return join(folder, "image.tar");
}

test("a loaded image is listed, and a machine's registry serves it under its whole name at once", async () => {
  const { holder, home } = await startHolder();
  const folder = join(home, "clusters", "test");
  await ensureRegistry({ home, folder, holder, tools, clock: systemClock });
  await ensureRegistry({ home, folder, holder, tools, clock: systemClock });
  expect(await listImages({ home })).toEqual([]);
  const archive = await makeArchive(home);
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith("drover-load-"));
  await loadImage({ home, archive, reference: "nginx:1.20.1", clock: systemClock });
  await loadImage({ home, archive, reference: "ghcr.io/acme/web", clock: systemClock });
  await loadImage({ home, archive: join(home, "image"), reference: "nginx:1.20.1", clock: systemClock });
  expect(await listImages({ home })).toEqual(["docker.io/library/nginx:1.20.1", "ghcr.io/acme/web:latest"]);
  expect(loadedDigest(home, "nginx:1.20.1")).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(loadedDigest(home, "nginx:1.20.2")).toBeUndefined();
  expect(readdirSync(tmpdir()).filter((name) => name.startsWith("drover-load-"))).toEqual(before);
  const seen = await holder.run(
    tools.command(
      "skopeo",
      "inspect",
      "--tls-verify=false",
      `docker://${registryMirror}/docker.io/library/nginx:1.20.1`,
    ),
  );
  const to = `docker://${registryMirror}/docker.io/library/evil:1`;
  const words = ["--insecure-policy", "copy", "--dest-tls-verify=false", `oci-archive:${archive}`, to];
  expect(await holder.run(tools.command("skopeo", ...words))).toMatchObject({ exitCode: 1 });
  expect(await listImages({ home })).not.toContain("docker.io/library/evil:1");
  expect(JSON.parse(seen.stdout)).toMatchObject({ Name: `${registryMirror}/docker.io/library/nginx`, Os: "linux" });
}, 60_000);

test("a file that is no image is refused before anything is started", async () => {
  const { home } = await startHolder();
  const bad = join(home, "bad.tar");
  writeFileSync(bad, "not a tar");
  const load = (archive: string, reference = "x") => loadImage({ home, archive, reference, clock: systemClock });
  await expect(load(bad)).rejects.toMatchObject({ code: "USAGE", message: expect.stringContaining("neither") });
  await expect(load(join(home, "absent"))).rejects.toMatchObject({ code: "USAGE" });
  await expect(load(home)).rejects.toMatchObject({ code: "USAGE" });
});

test.for([
  ["nginx", "docker.io/library/nginx", "latest"],
  ["nginx:1.20.1", "docker.io/library/nginx", "1.20.1"],
  ["acme/web:v1", "docker.io/acme/web", "v1"],
  ["ghcr.io/acme/team/web:v1", "ghcr.io/acme/team/web", "v1"],
  ["localhost/web", "localhost/web", "latest"],
] as const)("%s is %s with the tag %s", ([text, repository, tag]) =>
  expect(parseReference(text)).toEqual({ repository, tag }),
);

test.for(["", "Nginx", "a//b", "nginx:", "nginx:a b", "localhost:5000/x", "x@sha256:0", "../../etc", "a/../b", "-x"])(
  "%j names no image that can be loaded",
  (text) => expect(() => parseReference(text)).toThrow(/can't be the name/),
);
