import { accessSync, constants, cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type Result, run } from "../e2e/drover.ts";

/** Terraform from `DROVER_TERRAFORM` or the PATH; undefined: there is none. */
export function findTerraform(): string | undefined {
  const given = process.env["DROVER_TERRAFORM"];
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return [...(given ? [given] : []), ...folders.map((folder) => join(folder, "terraform"))].find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Folders of providers that were fetched before, where people and packages put them: nothing is downloaded then. */
function findProviders(): string | undefined {
  const given = process.env["TF_PLUGIN_DIR"];
  const below = (folder: string) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []);
  const usual = [
    ...(given ? [given] : []),
    join(homedir(), ".terraform.d/plugins"),
    join(homedir(), ".local/share/terraform/plugins"),
    ...["/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/usr/share/terraform/providers"],
    ...below("/opt"),
  ];
  return usual.find((folder) => existsSync(join(folder, "registry.terraform.io/hashicorp/aws")));
}

/** A copy of the module in a folder of its own, initialised. */
export class Terraform {
  readonly folder = mkdtempSync(join(tmpdir(), "dr-tf-"));
  readonly #program: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(program: string, env: NodeJS.ProcessEnv) {
    this.#program = program;
    this.#env = { ...env, TF_IN_AUTOMATION: "1", CHECKPOINT_DISABLE: "1", TF_CLI_CONFIG_FILE: "" };
    cpSync("infra", this.folder, { recursive: true, filter: (path) => !path.includes(".terraform") });
  }

  async init(): Promise<void> {
    const providers = findProviders();
    const words = providers === undefined ? [] : [`-plugin-dir=${providers}`];
    await this.do("init", "-input=false", "-backend=false", ...words);
  }

  run(...words: readonly string[]): Promise<Result> {
    const argv = [this.#program, `-chdir=${this.folder}`, ...words, "-no-color"];
    return run(argv, { env: this.#env, timeoutMs: 400_000 });
  }

  /** What it prints; fails with what it said when it fails. */
  async do(...words: readonly string[]): Promise<string> {
    const { code, out, err } = await this.run(...words);
    if (code !== 0)
      throw new Error(`terraform ${words[0]} ended with ${code}:\n${out.slice(-2_000)}\n${err.slice(-4_000)}`);
    return out;
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
