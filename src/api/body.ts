import { type Document, LineCounter, parseAllDocuments } from "yaml";
import { duplicateKeys } from "./duplicate-keys.ts";
import { jsonSyntaxProblem } from "./json-syntax.ts";
import { ApiError, badRequest } from "./status.ts";

/**
 * What a request says. `duplicates`: paths of keys that were given twice, of which the last counts. `yaml`: what the
 * YAML parser says of them, for bodies in YAML (see `strictProblems`).
 */
export type Body = { value: unknown; duplicates: string[]; yaml?: string };

const accepted = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/** The type alone, without parameters; an absent one counts as JSON. */
const mediaType = (contentType: string): string =>
  contentType.split(";")[0]?.trim().toLowerCase() || "application/json";

const unsupportedMediaType = (): ApiError =>
  new ApiError(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );

const shownBytesMax = 30;

/** The body as it is quoted in complaints: text if it begins like an object, else hexadecimal digits. */
function summary(bytes: Uint8Array): string {
  if (bytes.length === 0) return "<empty>";
  const head = Buffer.from(bytes.subarray(0, shownBytesMax)).toString(bytes[0] === 0x7b ? "utf8" : "hex");
  return bytes.length > shownBytesMax ? `${head} ...` : head;
}

const unrecognized = (kind: string, why: string, bytes: Uint8Array): ApiError =>
  badRequest(
    kind === "" ? why : `the object provided is unrecognized (must be of type ${kind}): ${why} (${summary(bytes)})`,
  );

const header =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

function jsonBody(bytes: Uint8Array, kind: string): Body {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw unrecognized(kind, `couldn't get version/kind; json parse error: ${jsonSyntaxProblem(bytes)}`, bytes);
  }
  if (kind !== "" && (typeof value !== "object" || value === null || Array.isArray(value))) {
    const what = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
    const why = `json: cannot unmarshal ${what} into Go value of type ${header}`;
    throw unrecognized(kind, `couldn't get version/kind; json parse error: ${why}`, bytes);
  }
  return { value, duplicates: duplicateKeys(text, value) };
}

/** Complaints of the YAML library by its codes, in the words that users of Kubernetes know. */
const yamlWords: Readonly<Record<string, string>> = {
  BAD_INDENT: "did not find expected key",
  BAD_SCALAR_START: "found character that cannot start any token",
  BLOCK_AS_IMPLICIT_KEY: "mapping values are not allowed in this context",
  MISSING_CHAR: "did not find expected node content",
  TAB_AS_INDENT: "found character that cannot start any token",
  UNEXPECTED_TOKEN: "did not find expected node content",
};

/** Tags of YAML 1.1 that Kubernetes' parser leaves as text. */
const textTags = new Set(["binary", "omap", "pairs", "set", "timestamp", "intTime", "floatTime"]);
const isText = (tag: unknown): boolean =>
  typeof tag === "string"
    ? textTags.has(tag)
    : typeof tag === "object" &&
      tag !== null &&
      "tag" in tag &&
      /:(binary|omap|pairs|set|timestamp)$/.test(String(tag.tag));
const isSexagesimal = (tag: unknown): boolean =>
  typeof tag === "object" && tag !== null && "format" in tag && tag.format === "TIME";

const yamlDuplicate = (document: Document.Parsed | Document, lines: LineCounter, text: string): string[] =>
  document.errors
    .filter(({ code }) => code === "DUPLICATE_KEY")
    .map(({ pos: [at] }) => {
      const key = /^[^\s:]+/.exec(text.slice(at))?.[0] ?? "";
      return `line ${lines.linePos(at).line}: key ${JSON.stringify(key)} already set in map`;
    });

function yamlBody(bytes: Uint8Array, kind: string): Body {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  const lines = new LineCounter();
  const [document] = parseAllDocuments(text, {
    version: "1.1",
    merge: true,
    lineCounter: lines,
    customTags: (tags) => tags.filter((tag) => !isText(tag) && !isSexagesimal(tag)),
  });
  if (!document || !("errors" in document)) return { value: null, duplicates: [] };
  const [failure] = document.errors.filter(({ code }) => code !== "DUPLICATE_KEY");
  if (failure) {
    const isFlow = failure.message.startsWith("Flow ");
    const words = isFlow ? yamlWords["MISSING_CHAR"] : (yamlWords[failure.code] ?? failure.message.split("\n")[0]);
    throw unrecognized(kind, `yaml: line ${lines.linePos(failure.pos[0]).line}: ${words}`, bytes);
  }
  const value: unknown = document.toJS();
  const repeated = yamlDuplicate(document, lines, text);
  if (repeated.length === 0) return { value, duplicates: [] };
  return { value, duplicates: [], yaml: `yaml: unmarshal errors:\n${repeated.map((line) => `  ${line}`).join("\n")}` };
}

/**
 * Reads a request's body. `kind`: what the address takes (`ConfigMap`), for complaints about a body that is none; leave
 * it out for bodies of another form, such as a JSON patch.
 * @throws ApiError 400 for a body that cannot be read, 415 for another type than JSON or YAML, in Kubernetes' words.
 */
export function parseBody(bytes: Uint8Array, contentType: string, kind = ""): Body {
  switch (mediaType(contentType)) {
    case "application/json":
      return jsonBody(bytes, kind);
    case "application/yaml":
    case "application/apply-patch+yaml":
      return yamlBody(bytes, kind);
    default:
      if (!/\+json$/.test(mediaType(contentType))) throw unsupportedMediaType();
      return jsonBody(bytes, kind);
  }
}
