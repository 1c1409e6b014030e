import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { InvalidArgumentError } from "commander";

/** Where drover keeps what it makes: `DROVER_HOME`, else `~/.drover`. */
export const homeFolder = (): string => resolve(process.env["DROVER_HOME"] ?? join(homedir(), ".drover"));

export type CloudName = "local" | "sim" | "aws";
export const cloudNames: readonly CloudName[] = ["local", "sim", "aws"];

/** A cluster's name, which names a folder, a context of kubectl and tags. @throws InvalidArgumentError */
export function clusterName(text: string): string {
  if (/^[a-z0-9](?:[\w.-]{0,61}[a-z0-9])?$/i.test(text)) return text;
  const form = "1 to 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
  throw new InvalidArgumentError(`${form}, are expected.`);
}

/** The files of one cluster. Identity lies beside the data, so that losing the data locks nobody out of the machines. */
export type ClusterPaths = {
  home: string;
  cluster: string;
  folder: string;
  data: string;
  identity: string;
  kubeconfig: string;
  /** Who serves it: a running server's process id, port and kubeconfig. */
  serving: string;
  log: string;
};

export function clusterPaths(cluster: string, data?: string): ClusterPaths {
  const home = homeFolder();
  const folder = join(home, "clusters", cluster);
  const dataFolder = data === undefined ? join(folder, "data") : resolve(data);
  return {
    home,
    cluster,
    folder,
    data: dataFolder,
    identity: `${dataFolder}-identity`,
    kubeconfig: join(folder, "kubeconfig"),
    serving: join(folder, "serving.json"),
    log: join(folder, "serve.log"),
  };
}
