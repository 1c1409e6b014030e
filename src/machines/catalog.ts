import { readFileSync } from "node:fs";
import { z } from "zod";
import type { PodSpec } from "../api/types.gen.ts";
import { DroverError } from "../base/errors.ts";
import type { ImageFamily } from "../clouds/cloud.ts";

const words = z.array(z.string());
const recipe = z
  .strictObject({
    /** The distribution's packages; the first one's version is told as the image's. */
    packages: words.min(1),
    /** Units of theirs that may not start by themselves: the agent is to run the program. */
    services: words,
    /** Run by sh once the packages are there. */
    setup: z.string(),
    /** As in an image: the Pod's `command` replaces both, its `args` the second. */
    entrypoint: words,
    command: words.min(1),
    env: z.record(z.string(), z.string()),
    user: z.string(),
    stopSignal: z.string(),
  })
  .partial();
const catalogFile = z.record(
  z.string(),
  z.strictObject({
    ...recipe.shape,
    packages: words.min(1),
    command: words.min(1),
    /** What is different there; Ubuntu is as Debian where it has no entry of its own. */
    families: z.partialRecord(z.enum(["debian", "ubuntu", "amazon-linux"]), recipe).optional(),
  }),
);
type Catalog = z.infer<typeof catalogFile>;

/** What a machine of the engine `native` installs, and runs in place of its Pod's images. */
export type Installation = { services: string[]; packages: string[]; setup: string; catalog: string };

const own = new URL("../../templates/catalog.json", import.meta.url);
const loaded = new Map<string, Catalog>();

/** drover's catalog, with what `catalog.json` in the user's own folder of templates says before it. */
function catalogOf(templatesDir: string | undefined): Catalog {
  const key = templatesDir ?? "";
  const known = loaded.get(key);
  if (known) return known;
  const catalog = { ...read(own), ...(templatesDir !== undefined && read(`${templatesDir}/catalog.json`)) };
  loaded.set(key, catalog);
  return catalog;
}

function read(file: URL | string): Catalog {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return {}; // A folder of templates need not have one.
  }
  try {
    return catalogFile.parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new DroverError("TEMPLATE_INVALID", `The catalog ${file} cannot be read: ${why}`, {}, error);
  }
}

/** `nginx` of `docker.io/library/nginx:1.20.1`, and the whole repository of an image that is not one of Docker's own. */
export const repositoryOf = (image: string): string =>
  image
    .replace(/@.*$/, "")
    .replace(/:[^/]*$/, "")
    .replace(/^(?:docker\.io\/|index\.docker\.io\/|public\.ecr\.aws\/docker\/)/, "")
    .replace(/^library\//, "");

/**
 * What stands in for the images of a Pod on machines of this family.
 * @throws CLOUD_INVALID: an image that has no entry, named by its field; a family without packages
 */
export function installationOf(spec: PodSpec, family: ImageFamily, templatesDir?: string): Installation {
  if (family === "other") {
    throw new DroverError(
      "CLOUD_INVALID",
      "The engine native installs packages of Debian, Ubuntu or Amazon Linux, and the machine image is none of them.",
    );
  }
  const catalog = catalogOf(templatesDir);
  const recipes = new Map<string, Recipe>();
  for (const { path, image } of imagesOf(spec)) {
    const entry = Object.hasOwn(catalog, repositoryOf(image)) ? catalog[repositoryOf(image)] : undefined;
    if (!entry) {
      throw new DroverError(
        "CLOUD_INVALID",
        `${path}: the engine native knows no package for "${image}"; it knows ${Object.keys(catalog).join(", ")}.`,
        { field: path },
      );
    }
    const { families = {}, ...common } = entry;
    recipes.set(image, { ...common, ...(family === "ubuntu" && families.debian), ...families[family] });
  }
  const all = [...recipes.values()];
  const unique = (texts: readonly string[]) => [...new Set(texts)];
  return {
    services: unique(all.flatMap(({ services = [] }) => services)),
    packages: unique(all.flatMap(({ packages = [] }) => packages)),
    setup: unique(all.flatMap(({ setup }) => setup ?? [])).join("\n"),
    catalog: JSON.stringify(Object.fromEntries([...recipes].map(([image, each]) => [image, agentEntry(each)]))),
  };
}

type Recipe = z.infer<typeof recipe>;

/** As templates/agent/units.py reads it. */
const agentEntry = ({ packages: [first] = [], entrypoint, command, env, user, stopSignal }: Recipe) => ({
  package: first,
  entrypoint,
  command,
  env,
  user,
  stopSignal,
});

/** Every image of a Pod with the path of its field. */
export const imagesOf = (spec: PodSpec): { path: string; image: string }[] =>
  (["initContainers", "containers"] as const).flatMap((list) =>
    (spec[list] ?? []).map(({ image = "" }, index) => ({ path: `spec.${list}[${index}].image`, image })),
  );
