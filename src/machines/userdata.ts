import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import Handlebars from "handlebars";
import { DroverError } from "../base/errors.ts";
import type { ImageFamily } from "../clouds/cloud.ts";
import { agentParts, agentProgram } from "./agent.ts";
import { shellWord, systemdValue, yamlBlock, yamlScalar } from "./escape.ts";

/** What a template may name. Everything in it is equal for all Pods of a revision; nothing in it is secret. */
export type UserDataContext = {
  engine: string;
  /** Of the machine image: decides what installs packages, and which. */
  family: ImageFamily;
  /** Packages come by dnf, from the region's own source. */
  dnf: boolean;
  /** Of the engine `native`: units that may not start by themselves, packages to install, a script for sh that is run
   * after that, and what the agent is to run, in its own form. */
  services: readonly string[];
  packages: readonly string[];
  setup: string;
  catalog: string;
  /** The operator's public key in OpenSSH's form. */
  authorizedKey: string;
  namespace: string;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  images: readonly string[];
};

const ownFolder = fileURLToPath(new URL("../../templates/", import.meta.url));

type Templates = { render: (name: string, context: UserDataContext) => string };
const loaded = new Map<string, Templates>();

/**
 * The cloud-init document `name` of `templatesDir`, or else of drover's own templates, as text.
 * @throws TEMPLATE_INVALID: no such template or engine, bad syntax, an unknown name, a value without a helper
 */
export function renderUserData(name: string, context: UserDataContext, templatesDir = ownFolder): string {
  const templates = loaded.get(templatesDir) ?? load(templatesDir);
  loaded.set(templatesDir, templates);
  return templates.render(name, context);
}

const suffix = ".yaml.hbs";

/**
 * Sources by name; `engine/oci` for the partials, `engine/oci.amazon-linux` where a family needs one of its own. What the
 * user's folder holds stands in for drover's own.
 */
function readSources(folder: string): Map<string, string> {
  const sources = new Map<string, string>();
  for (const [prefix, below] of [
    ["", ""],
    ["engine/", "partials/"],
  ] as const) {
    for (const parent of new Set([ownFolder, folder])) {
      for (const file of listed(`${parent}/${below}`)) {
        sources.set(prefix + file.slice(0, -suffix.length), readFileSync(`${parent}/${below}${file}`, "utf8"));
      }
    }
  }
  return sources;
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder).filter((file) => file.endsWith(suffix));
  } catch (error) {
    if (folder.endsWith("/partials/")) return [];
    throw new DroverError("TEMPLATE_INVALID", `The folder of templates ${folder} cannot be read.`, { folder }, error);
  }
}

const helpers: Record<string, (text: string, options: Handlebars.HelperOptions) => string> = {
  yaml: (text) => yamlScalar(text),
  sh: (text) => shellWord(text),
  systemd: (text) => systemdValue(text),
  block: (text, { hash }) => yamlBlock(text, Number(hash["indent"] ?? 0)),
};

function load(folder: string): Templates {
  const sources = readSources(folder);
  const engine = Handlebars.create();
  for (const [name, helper] of Object.entries(helpers)) {
    engine.registerHelper(name, (value: unknown, options: Handlebars.HelperOptions) => {
      if (typeof value === "string") return helper(value, options);
      throw new DroverError("TEMPLATE_INVALID", `A template gives the helper "${name}" a value that does not exist.`);
    });
  }
  for (const [name, source] of sources) checkHelpers(name, source);
  const options = {
    strict: true,
    noEscape: true,
    knownHelpers: Object.fromEntries(Object.keys(helpers).map((name) => [name, true])),
  };
  const compiled = new Map([...sources].map(([name, source]) => [name, engine.compile(source, options)]));
  return {
    render(name, context) {
      const template = compiled.get(name);
      if (!template || name.startsWith("engine/")) {
        throw new DroverError(
          "TEMPLATE_INVALID",
          `drover.dev/template: there is no template "${name}"; there are ${[...compiled.keys()].join(", ")}.`,
        );
      }
      const { engine: engineName, family } = context;
      const partial = compiled.get(`engine/${engineName}.${family}`) ?? compiled.get(`engine/${engineName}`);
      if (!partial) throw noEngine(context, [...compiled.keys()]);
      const agent = agentProgram(agentParts(engineName, family));
      try {
        return template({ ...context, agent }, { partials: { engine: partial } });
      } catch (error) {
        if (error instanceof DroverError) throw error;
        throw new DroverError("TEMPLATE_INVALID", `Template ${name}: ${messageOf(error)}.`, { template: name }, error);
      }
    },
  };
}

function noEngine({ engine, family }: UserDataContext, templates: readonly string[]): DroverError {
  const known = templates.flatMap((name) => {
    const [, one, only] = /^engine\/([^.]+)(?:\.(.+))?$/.exec(name) ?? [];
    return one !== undefined && (only === undefined || only === family) ? one : [];
  });
  const among = [...new Set(known)].sort().join(", ");
  return new DroverError(
    "TEMPLATE_INVALID",
    `drover.dev/engine: there is no engine "${engine}" on machine images of the family ${family}; there are ${among}.`,
  );
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Refuses a value that is printed as it is: what a manifest says goes through the helper of its place. */
function checkHelpers(name: string, source: string): void {
  const visitor = new Handlebars.Visitor();
  visitor.MustacheStatement = ({ path, params, loc }) => {
    const helper = "original" in path ? String(path.original) : "";
    if (params.length > 0 && Object.hasOwn(helpers, helper)) return;
    const among = Object.keys(helpers).join(", ");
    throw new DroverError(
      "TEMPLATE_INVALID",
      `Template ${name}, line ${loc.start.line}: a value must be printed by one of the helpers ${among}.`,
    );
  };
  try {
    visitor.accept(Handlebars.parse(source));
  } catch (error) {
    if (error instanceof DroverError) throw error;
    throw new DroverError("TEMPLATE_INVALID", `Template ${name}: ${messageOf(error)}.`, { template: name }, error);
  }
}
