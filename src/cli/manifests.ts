import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { kinds } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { DroverError } from "../base/errors.ts";
import type { Api } from "./kube.ts";

const manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

const list = z.looseObject({ kind: z.string().endsWith("List"), items: z.array(z.unknown()) });

/** The objects of a YAML file, in its order, those of lists among them. @throws USAGE naming the file and what it lacks */
export function readManifests(file: string): KubeObject[] {
  const objects = documentsOf(file).flatMap((value) => list.safeParse(value).data?.items ?? [value]);
  return objects.map((value) => {
    const parsed = manifest.safeParse(value);
    if (parsed.success) return parsed.data;
    const [problem] = parsed.error.issues;
    throw new DroverError("USAGE", `${file}: ${problem?.path.join(".")}: ${problem?.message}`);
  });
}

function documentsOf(file: string): unknown[] {
  try {
    const documents = parseAllDocuments(readFileSync(file === "-" ? 0 : file, "utf8"), { version: "1.1" });
    for (const error of documents.flatMap(({ errors }) => errors)) throw error;
    return documents.map((document) => document.toJS()).filter((value) => value !== null);
  } catch (error) {
    throw new DroverError("USAGE", `${file} can't be read: ${error instanceof Error ? error.message : error}`);
  }
}

export function pathOf({ apiVersion, kind, metadata }: KubeObject, withName: boolean): string {
  const found = kinds.get(`${apiVersion}/${kind}`);
  if (!found) throw new DroverError("USAGE", `no kind "${kind}" in "${apiVersion}" is known`);
  const root = found.group === "" ? `/api/${found.version}` : `/apis/${found.group}/${found.version}`;
  const namespace = found.namespaced ? `/namespaces/${metadata.namespace ?? "default"}` : "";
  return `${root}${namespace}/${found.plural}${withName ? `/${metadata.name}` : ""}`;
}

/** Creates each object, or merges it into the one that is there. @throws what the server answered */
export async function applyObjects(api: Api, objects: readonly KubeObject[]): Promise<void> {
  for (const object of objects) {
    const created = await api.request("POST", pathOf(object, false), object);
    if (created.status < 300) continue;
    const patch = "application/strategic-merge-patch+json";
    const answer = created.status === 409 ? await api.request("PATCH", pathOf(object, true), object, patch) : created;
    if (answer.status >= 300) {
      throw new DroverError("USAGE", `${object.kind} ${object.metadata.name}: ${String(answer.body["message"])}`);
    }
  }
}
