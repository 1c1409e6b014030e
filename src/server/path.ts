/** A request's path, parsed once. Segments are already percent-decoded. */
export type ApiPath =
  /** One object, a collection, or a subresource of an object. */
  | {
      is: "resource";
      group: string;
      version: string;
      /** Empty: cluster-scoped, or all namespaces. */
      namespace: string;
      plural: string;
      /** Empty: the collection. */
      name: string;
      /** Empty: the object itself. What follows it is in `rest`. */
      subresource: string;
      rest: string;
      /** The old `/watch/` form. */
      watch: boolean;
    }
  /** `/api`, `/apis`, `/apis/G`, `/api/v1`, `/apis/G/V`. */
  | { is: "discovery"; root: "api" | "apis"; group?: string; version?: string }
  | { is: "other" };

const other: ApiPath = { is: "other" };

/** Parses the part before `?`. A malformed escape makes it "other". */
export function parsePath(path: string): ApiPath {
  if (!path.startsWith("/api")) return other;
  const parts = path.includes("%") ? decode(path) : path.split("/").slice(1);
  if (parts === undefined) return other;
  if (parts[parts.length - 1] === "") parts.pop();
  const [root, ...rest] = parts;
  if (root === "api") {
    const [version, ...tail] = rest;
    if (version === undefined) return { is: "discovery", root };
    if (tail.length === 0) return { is: "discovery", root, group: "", version };
    return resource("", version, tail);
  }
  if (root === "apis") {
    const [group, version, ...tail] = rest;
    if (group === undefined) return { is: "discovery", root };
    if (version === undefined) return { is: "discovery", root, group };
    if (tail.length === 0) return { is: "discovery", root, group, version };
    return resource(group, version, tail);
  }
  return other;
}

function decode(path: string): string[] | undefined {
  try {
    return path.split("/").slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

/** What comes after the version. `namespaces/NAME[/status]` is the Namespace itself, `namespaces/NS/plural…` is not. */
function resource(group: string, version: string, tail: string[]): ApiPath {
  const watch = tail[0] === "watch";
  const parts = watch ? tail.slice(1) : tail;
  const inNamespace = parts[0] === "namespaces" && parts.length > 2 && !namespaceSubresources.has(parts[2] ?? "");
  const namespace = inNamespace ? (parts[1] ?? "") : "";
  const [plural = "", name = "", subresource = "", ...rest] = inNamespace ? parts.slice(2) : parts;
  if (plural === "") return other;
  return { is: "resource", group, version, namespace, plural, name, subresource, rest: rest.join("/"), watch };
}

const namespaceSubresources = new Set(["status", "finalize"]);
