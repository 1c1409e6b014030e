import type { StorageClass } from "../api/types.gen.ts";
import type { Client } from "../registry/client.ts";

/** The class of claims that name none: what a cluster is born with, and may replace. */
export type DefaultStorage = { name: string; provisioner: string; parameters?: Record<string, string> };

/** Makes it where there is no class at all. */
export async function ensureDefaultStorage(client: Client, { name, ...more }: DefaultStorage): Promise<void> {
  const resource = "storageclasses.storage.k8s.io";
  if (client.view.list(resource).length > 0) return;
  const storageClass: StorageClass = {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name, annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
    ...more,
    reclaimPolicy: "Delete",
    volumeBindingMode: "WaitForFirstConsumer",
    allowVolumeExpansion: true,
  };
  await client.create(resource, storageClass, { manager: "drover" });
}
