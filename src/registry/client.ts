import type { KubeObject, Resource } from "../api/object.ts";
import type { DeleteOptions } from "../api/types.gen.ts";
import type { KeyOf, ShapeOf, View, ViewListener } from "./view.ts";

/** `manager` goes into managedFields, as the field manager of a controller does. */
type WriteOptions = { manager: string };

/** Whose place a new object takes: it gets that uid and, where its name is to be generated, that name. */
export type Identity = { uid: string; name: string; annotations?: Readonly<Record<string, string>> };
/** Asked for every new object, in its stored version, before it is validated. */
export type Identify = (resource: Resource, object: KubeObject) => Identity | undefined | Promise<Identity | undefined>;

/**
 * The API as drover's own controllers use it, in process: the same defaulting, validation, admission and bookkeeping
 * as over HTTP. Every call resolves when the change is durable and visible in `view`.
 * @throws ApiError with the status that an HTTP client would get.
 */
export interface Client {
  readonly view: View;
  /** Returns the way to stop. */
  subscribe(listener: ViewListener): () => void;
  /** One at a time; returns the way to stop. */
  identifyWith(identify: Identify): () => void;
  create<R extends Resource>(resource: R, object: ShapeOf<R>, options: WriteOptions): Promise<ShapeOf<R>>;
  /**
   * Reads the newest version, lets `change` make the next one from a private copy, and writes it if it differs. Lost
   * races are repeated with the winner's version. `undefined` from `change` means nothing to do; so does a missing object.
   */
  update<R extends Resource>(
    key: KeyOf<R>,
    change: (current: ShapeOf<R>) => ShapeOf<R> | undefined,
    options: WriteOptions & { subresource?: "status" | "scale" | "finalize" | "binding" },
  ): Promise<ShapeOf<R> | undefined>;
  /** As an HTTP DELETE with these options; a missing object is a success. */
  delete(key: KeyOf<Resource>, options: Omit<DeleteOptions, "apiVersion" | "kind">): Promise<void>;
}
