import type { Context } from "./context.ts";
import { create } from "./create.ts";

const firstNamespaces = ["default", "kube-system", "kube-public", "kube-node-lease"];

/** The namespaces that every cluster has. */
export async function ensureFirstNamespaces(context: Context): Promise<void> {
  const kind = context.kinds.ofResource("namespaces");
  for (const name of firstNamespaces) {
    if (context.cache.find("namespaces", "", name) !== undefined) continue;
    await create(context, kind, "", { metadata: { name } }, { manager: "drover" });
  }
}
