import type { KubeObject, Resource } from "../../src/api/object.ts";
import { seededRandom } from "../../src/base/random.ts";
import { VirtualClock } from "../../src/base/virtual.ts";
import { openRegistry } from "../../src/registry/registry.ts";
import type { RequestOptions, UpdateOptions } from "../../src/registry/requests.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";

const by: RequestOptions = { manager: "test" };

/** A registry of its own on virtual time, with the verbs in the form in which tests read best: namespace `default`. */
export async function openCluster(store?: Store) {
  const clock = new VirtualClock();
  const ownStore = store ?? memoryStore({ clock });
  const registry = await openRegistry({ store: ownStore, clock, random: seededRandom(1) });
  const kindOf = (resource: Resource) => registry.kinds.ofResource(resource);
  const namespaceOf = (resource: Resource) => (kindOf(resource).namespaced ? "default" : "");
  const create = async (resource: Resource, value: object, options: Partial<RequestOptions> = {}) =>
    (await registry.create(kindOf(resource), namespaceOf(resource), value, { ...by, ...options })).stored.object;
  if (registry.view.get("serviceaccounts", "default", "default") === undefined) {
    await create("serviceaccounts", { metadata: { name: "default" } });
  }
  return {
    clock,
    store: ownStore,
    registry,
    kindOf,
    create,
    get: (resource: Resource, name: string) => registry.view.get(resource, namespaceOf(resource), name) as KubeObject,
    update: async (
      resource: Resource,
      name: string,
      change: (current: KubeObject) => object,
      options: Partial<UpdateOptions> = {},
    ) =>
      (await registry.update(kindOf(resource), namespaceOf(resource), name, change, { ...by, ...options })).stored
        .object,
    remove: (resource: Resource, name: string, deletion = {}, options: Partial<RequestOptions> = {}) =>
      registry.delete(kindOf(resource), namespaceOf(resource), name, deletion, { ...by, ...options }),
  };
}

export const configMap = (name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}) => ({
  metadata: { name, labels },
  data,
});
export const pod = (name: string, spec: object = {}, metadata: object = {}) => ({
  metadata: { name, ...metadata },
  spec: { containers: [{ name: "c", image: "nginx" }], ...spec },
});
/** The code and the message of the Status that an operation was refused with. */
export const refusal = async (operation: Promise<unknown>): Promise<string> => {
  try {
    await operation;
    return "accepted";
  } catch (error) {
    const { status } = error as { status?: { code: number; message?: string } };
    return status ? `${status.code} ${status.message}` : String(error);
  }
};
