import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
/** Where a Pod on its way out waits until every balancer has let go of its machine. */
const wait = { file: "controllers/pod-end.js", text: 'if (!released && stopping?.reason !== "Stopping") {' };

/**
 * A copy in `folder` of drover as it was built, that tells a Pod's containers to stop without waiting for the
 * balancers. Returns the path of its main.js.
 */
export function withoutDrain(folder: string): string {
  const copy = join(folder, "without-drain");
  mkdirSync(copy);
  for (const name of ["package.json", "node_modules", "templates"]) symlinkSync(join(root, name), join(copy, name));
  cpSync(join(root, "dist"), join(copy, "dist"), { recursive: true });
  const file = join(copy, "dist", wait.file);
  const [before, after, ...more] = readFileSync(file, "utf8").split(wait.text);
  if (after === undefined || more.length > 0) throw new Error(`${wait.file} is to have this once: ${wait.text}`);
  writeFileSync(file, `${before}if (false) {${after}`);
  return join(copy, "dist/cli/main.js");
}
