import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { runTool } from "./run-tool.ts";

/** A file system layer, packed: `digest` is of the gzipped bytes, `diffId` of the plain ones. */
export type Layer = { path: string; digest: string; diffId: string; sizeBytes: number };

type Descriptor = { mediaType: string; digest: string; size: number; annotations?: Record<string, string> };

/** Packs a tree as a layer into `path`, byte for byte the same for the same tree. */
export async function packLayer(tree: string, path: string): Promise<Layer> {
  await tar(tree, path);
  const plain = await readFile(path);
  const packed = gzipSync(plain, { level: 9 });
  await rm(path);
  const digest = sha256(packed);
  const kept = `${path}.${digest.slice(7, 19)}`;
  await writeFile(kept, packed);
  return { path: kept, digest, diffId: sha256(plain), sizeBytes: packed.length };
}

/** Writes an image of these layers, lowest first, as an OCI archive that skopeo and podman read. */
export async function ociArchive(
  path: string,
  image: { reference: string; layers: readonly Layer[]; config: Record<string, unknown> },
): Promise<void> {
  const layout = `${path}.layout`;
  const blobs = join(layout, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const put = async (mediaType: string, content: unknown): Promise<Descriptor> => {
    const bytes = Buffer.from(JSON.stringify(content));
    const digest = sha256(bytes);
    await writeFile(join(blobs, digest.slice(7)), bytes);
    return { mediaType: `application/vnd.oci.image.${mediaType}+json`, digest, size: bytes.length };
  };
  const layers: Descriptor[] = [];
  for (const { path: from, digest, sizeBytes } of image.layers) {
    await writeFile(join(blobs, digest.slice(7)), await readFile(from));
    layers.push({ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest, size: sizeBytes });
  }
  const config = await put("config.v1", {
    architecture: "amd64",
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config: image.config,
    rootfs: { type: "layers", diff_ids: image.layers.map(({ diffId }) => diffId) },
  });
  const manifest = await put("manifest.v1", { schemaVersion: 2, mediaType: manifestType, config, layers });
  const annotations = { "org.opencontainers.image.ref.name": image.reference };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  await writeFile(join(layout, "index.json"), JSON.stringify(index));
  await writeFile(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await tar(layout, join(dirname(path), `${basename(path)}.partial`));
  await rename(`${path}.partial`, path);
  await rm(layout, { recursive: true });
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";

const sha256 = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

const tar = (tree: string, path: string): Promise<string> =>
  runTool([
    "tar",
    "--sort=name",
    "--mtime=@0",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "-C",
    tree,
    "-cf",
    path,
    ".",
  ]);
