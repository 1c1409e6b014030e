import { createHash } from "node:crypto";
import type { Kind } from "../api/kinds.ts";

/** The release of Kubernetes whose API this is, as `/version` tells it. */
export const version = {
  major: "1",
  minor: "34",
  gitVersion: "v1.34.0+drover",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: `node ${process.version}`,
  compiler: "v8",
  platform: `${process.platform}/${process.arch}`,
};

/** Groups in the order in which clients should prefer them; the rest follows by name. */
const preferredGroups = [
  "",
  "apiregistration.k8s.io",
  "apps",
  "events.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "autoscaling",
  "batch",
];

type Versions = Map<string, Kind[]>;

/** The kinds that are served, by group and version, both in the order of preference. */
function grouped(kinds: Iterable<Kind>): Map<string, Versions> {
  const groups = new Map<string, Versions>();
  for (const kind of [...kinds].sort((a, b) => (a.plural < b.plural ? -1 : 1))) {
    const versions: Versions = groups.get(kind.group) ?? new Map();
    groups.set(kind.group, versions.set(kind.version, [...(versions.get(kind.version) ?? []), kind]));
  }
  const rank = (group: string) => preferredGroups.indexOf(group) + 1 || preferredGroups.length + 1;
  const byRank = [...groups].sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return new Map(byRank.map(([group, versions]) => [group, new Map([...versions].sort(newestFirst))]));
}

/** Versions with the highest number first: v2 before v1 before v1beta1. */
function newestFirst([a]: [string, unknown], [b]: [string, unknown]): number {
  const parse = (text: string) => /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(text);
  const [left, right] = [parse(a), parse(b)];
  const stage = (m: RegExpExecArray | null) => (m?.[2] === undefined ? 2 : m[2] === "beta" ? 1 : 0);
  const number = (m: RegExpExecArray | null, at: number) => Number(m?.[at] ?? 0);
  return stage(right) - stage(left) || number(right, 1) - number(left, 1) || number(right, 3) - number(left, 3);
}

const gvOf = (group: string, of: string): string => (group === "" ? of : `${group}/${of}`);
const splitId = (id: string): { group: string; version: string; kind: string } => {
  const [kind = "", of = "", group = ""] = id.split("/").reverse();
  return { group, version: of, kind };
};

/** One entry of `/api/v1` and `/apis/G/V`. */
function legacyResources(kind: Kind): object[] {
  const hash = createHash("sha256").update(`${kind.group}/${kind.version}/${kind.kind}`).digest();
  const stored = kind.verbs.includes("watch");
  const own = {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: kind.verbs,
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
    ...(stored && { storageVersionHash: hash.subarray(0, 8).toString("base64") }),
  };
  const below = Object.entries(kind.subresources).map(([name, of]) => {
    const { group, version: served, kind: what } = splitId(of.kind);
    const foreign = gvOf(group, served) !== kind.apiVersion;
    const id = { name: `${kind.plural}/${name}`, singularName: "", namespaced: kind.namespaced };
    return { ...id, ...(foreign && { group, version: served }), kind: what, verbs: of.verbs };
  });
  return [own, ...below];
}

function aggregatedResource(kind: Kind): object {
  const own = { group: "", version: "", kind: kind.kind };
  const subresources = Object.entries(kind.subresources).map(([subresource, of]) => {
    const { group, version: served, kind: what } = splitId(of.kind);
    const foreign = gvOf(group, served) !== kind.apiVersion;
    const responseKind = foreign ? { group, version: served, kind: what } : { group: "", version: "", kind: what };
    return { subresource, responseKind, verbs: of.verbs };
  });
  return {
    resource: kind.plural,
    responseKind: own,
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs: kind.verbs,
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
    ...(subresources.length > 0 && { subresources }),
  };
}

const groupEntry = (group: string, versions: Versions): object => {
  const list = [...versions.keys()].map((each) => ({ groupVersion: gvOf(group, each), version: each }));
  return { name: group, versions: list, preferredVersion: list[0] };
};

/** `v2` and `v2beta1` of the aggregated form differ in nothing but their name here. */
export type AggregatedVersion = "v2" | "v2beta1";

/** The aggregated form that the Accept header asks for, if any; the first one named wins. */
export function aggregatedVersion(accept: string | undefined): AggregatedVersion | undefined {
  for (const range of (accept ?? "").split(",")) {
    const parts = range.split(";").map((part) => part.trim());
    if (parts[0] !== "application/json") continue;
    const wanted = parts.includes("g=apidiscovery.k8s.io") && parts.includes("as=APIGroupDiscoveryList");
    if (wanted && parts.includes("v=v2")) return "v2";
    if (wanted && parts.includes("v=v2beta1")) return "v2beta1";
    if (parts.length === 1) return undefined;
  }
  return undefined;
}

/** Everything below `/api` (core) or `/apis` (the rest) in one document. */
export function aggregated(kinds: Iterable<Kind>, root: "api" | "apis", of: AggregatedVersion): object {
  const items = [...grouped(kinds)]
    .filter(([group]) => (group === "") === (root === "api"))
    .map(([group, versions]) => ({
      metadata: { ...(group !== "" && { name: group }), creationTimestamp: null },
      versions: [...versions].map(([each, list]) => ({
        version: each,
        freshness: "Current",
        resources: list.map(aggregatedResource),
      })),
    }));
  return { kind: "APIGroupDiscoveryList", apiVersion: `apidiscovery.k8s.io/${of}`, metadata: {}, items };
}

export type LegacyQuery = { root: "api" | "apis"; group?: string; version?: string; address: string };

/** The one-document-a-group form. Undefined: there is no such group (`/apis/G`) or version. */
export function legacy(kinds: Iterable<Kind>, query: LegacyQuery): object | undefined {
  const groups = grouped(kinds);
  if (query.group === undefined) {
    if (query.root === "api") {
      const serverAddressByClientCIDRs = [{ clientCIDR: "0.0.0.0/0", serverAddress: query.address }];
      return { kind: "APIVersions", versions: [...(groups.get("")?.keys() ?? [])], serverAddressByClientCIDRs };
    }
    const named = [...groups].filter(([group]) => group !== "");
    return { kind: "APIGroupList", apiVersion: "v1", groups: named.map(([group, each]) => groupEntry(group, each)) };
  }
  const versions = groups.get(query.group);
  if (versions === undefined) return undefined;
  if (query.version === undefined) return { kind: "APIGroup", apiVersion: "v1", ...groupEntry(query.group, versions) };
  const list = versions.get(query.version);
  const groupVersion = gvOf(query.group, query.version);
  return list && { kind: "APIResourceList", apiVersion: "v1", groupVersion, resources: list.flatMap(legacyResources) };
}
