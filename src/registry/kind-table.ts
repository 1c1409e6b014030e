import { type Kind, kinds } from "../api/kinds.ts";
import type { Resource } from "../api/object.ts";
import { assert } from "../base/assert.ts";

/** Which kinds there are and which of them are stored. */
export type KindTable = {
  /** As a path names it; only what is served. */
  find(group: string, version: string, plural: string): Kind | undefined;
  /** The kind in the version in which `resource` is stored. */
  ofResource(resource: Resource): Kind;
  /** The kind under which objects of this one are stored: itself, but for a few that are served twice. */
  storedAs(kind: Kind): Kind;
  /** Every kind that is served, stored or not. */
  served(): readonly Kind[];
};

/** What drover writes down for itself: visible to controllers, served to nobody. */
const internal = (kind: string): Kind => ({
  group: "drover.dev",
  version: "v1",
  kind,
  apiVersion: "drover.dev/v1",
  type: "",
  listKind: `${kind}List`,
  plural: pluralOf(kind),
  singular: kind.toLowerCase(),
  shortNames: [],
  categories: [],
  namespaced: false,
  verbs: [],
  subresources: { status: { kind: `drover.dev/v1/${kind}`, verbs: [] } },
  resource: `${pluralOf(kind)}.drover.dev`,
});
const pluralOf = (kind: string): string => `${kind.toLowerCase()}${kind.endsWith("ch") ? "es" : "s"}`;

/** Kinds that are another form of a stored one, by `apiVersion/Kind`. */
const storedElsewhere: Readonly<Record<string, string>> = {
  "autoscaling/v1/HorizontalPodAutoscaler": "autoscaling/v2/HorizontalPodAutoscaler",
  "events.k8s.io/v1/Event": "v1/Event",
};

/** A kind that only has a shape and no table entry of the schema: drover's own. */
export const isInternal = (kind: Kind): boolean => kind.type === "";

const idOf = (kind: Kind): string => `${kind.apiVersion}/${kind.kind}`;

export function kindTable(): KindTable {
  const served = [...kinds.values()];
  const byPath = new Map(served.map((kind) => [`${kind.group}/${kind.version}/${kind.plural}`, kind]));
  const stored = [...served, internal("Launch"), internal("Frontend")].filter(
    (kind) => storedElsewhere[idOf(kind)] === undefined,
  );
  const byResource = new Map(stored.map((kind) => [kind.resource, kind]));
  return {
    find: (group, version, plural) => byPath.get(`${group}/${version}/${plural}`),
    ofResource(resource) {
      const kind = byResource.get(resource);
      assert(kind !== undefined, `${resource} is a stored resource`);
      return kind;
    },
    storedAs: (kind) => kinds.get(storedElsewhere[idOf(kind)] ?? "") ?? kind,
    served: () => served,
  };
}
