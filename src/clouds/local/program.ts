import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DroverError } from "../../base/errors.ts";

/**
 * The compiled entry file of one of the processes that outlive drover. They are plain JavaScript beside this file once
 * built; run from the sources, the built ones are used. @throws SETUP_MISSING when nothing has been built
 */
export function programPath(name: "holder-main" | "publisher-main"): string {
  const built = import.meta.url.endsWith(".js") ? `./${name}.js` : `../../../dist/clouds/local/${name}.js`;
  const path = fileURLToPath(new URL(built, import.meta.url));
  if (existsSync(path)) return path;
  throw new DroverError("SETUP_MISSING", `${path} has not been built; \`npm run build\`.`);
}
