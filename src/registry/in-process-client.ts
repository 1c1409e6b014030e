import type { KubeObject } from "../api/object.ts";
import { ApiError } from "../api/status.ts";
import type { Client } from "./client.ts";
import type { Context } from "./context.ts";
import { create } from "./create.ts";
import { remove } from "./delete.ts";
import { update } from "./update.ts";
import type { ShapeOf } from "./view.ts";

const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status.code === 404;

/** The registry as drover's own controllers use it: the stored version of every kind, nothing to validate by name. */
export function inProcessClient(context: Context): Client {
  const { cache, kinds } = context;
  return {
    view: cache,
    subscribe: (listener) => cache.subscribe(listener),
    identifyWith(identify) {
      context.identify = identify;
      return () => {
        if (context.identify === identify) delete context.identify;
      };
    },
    async create(resource, object, { manager }) {
      const namespace = (object as KubeObject).metadata.namespace ?? ""; // Every shape is an object of the API.
      const options = { manager, fieldValidation: "Ignore" } as const;
      const { stored } = await create(context, kinds.ofResource(resource), namespace, object, options);
      return stored.object as ShapeOf<typeof resource>; // Validated as what its resource says.
    },
    async update({ resource, namespace, name }, change, { manager, subresource }) {
      type Shape = ShapeOf<typeof resource>;
      const options = { manager, fieldValidation: "Ignore" as const, ...(subresource && { subresource }) };
      const next = (current: KubeObject) => change(current as Shape) ?? current; // Stored as what its resource says.
      try {
        const { stored } = await update(context, kinds.ofResource(resource), namespace, name, next, options);
        return stored.object as Shape; // As above.
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    async delete({ resource, namespace, name }, deletion) {
      try {
        await remove(context, kinds.ofResource(resource), namespace, name, deletion, { manager: "drover" });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  };
}
