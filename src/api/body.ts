import { type Document, LineCounter, parseAllDocuments } from "yaml";
import { countKeys, duplicateKeys } from "./duplicate-keys.ts";
import { jsonSyntaxProblem } from "./json-syntax.ts";
import { MalformedValue } from "./malformed.ts";
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

const header =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");

const versionless = "couldn't get version/kind; json parse error: ";

function jsonBody(bytes: Uint8Array): Body {
  const text = textOf(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new MalformedValue(`${versionless}${jsonSyntaxProblem(bytes)}`);
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

function yamlBody(bytes: Uint8Array): Body {
  const text = textOf(bytes);
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
    throw new MalformedValue(`yaml: line ${lines.linePos(failure.pos[0]).line}: ${words}`);
  }
  const value: unknown = document.toJS();
  countKeys(value);
  const repeated = yamlDuplicate(document, lines, text);
  if (repeated.length === 0) return { value, duplicates: [] };
  return { value, duplicates: [], yaml: `yaml: unmarshal errors:\n${repeated.map((line) => `  ${line}`).join("\n")}` };
}

/** The library's own ways out of a document that nests too deeply or repeats itself without end. */
const isBomb = (error: unknown): boolean => error instanceof RangeError || error instanceof ReferenceError;

function bodyOf(bytes: Uint8Array, type: string): Body {
  if (type === "application/json" || /\+json$/.test(type)) return jsonBody(bytes);
  if (type !== "application/yaml" && type !== "application/apply-patch+yaml") throw unsupportedMediaType();
  try {
    return yamlBody(bytes);
  } catch (error) {
    throw isBomb(error) ? new MalformedValue("yaml: document contains excessive aliasing") : error;
  }
}

/** A body of an object must be one. */
function checkObject(value: unknown): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  const what = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  throw new MalformedValue(`${versionless}json: cannot unmarshal ${what} into Go value of type ${header}`);
}

/**
 * Reads a request's body. `kind`: what the address takes (`ConfigMap`), for complaints about a body that is none; leave
 * it out for bodies of another form, such as a JSON patch.
 * @throws ApiError 400 for a body that cannot be read, 415 for another type than JSON or YAML, in Kubernetes' words.
 */
export function parseBody(bytes: Uint8Array, contentType: string, kind = ""): Body {
  try {
    const body = bodyOf(bytes, mediaType(contentType));
    if (kind !== "") checkObject(body.value);
    return body;
  } catch (error) {
    if (!(error instanceof MalformedValue)) throw error;
    if (kind === "") throw badRequest(error.message);
    const what = `the object provided is unrecognized (must be of type ${kind})`;
    throw badRequest(`${what}: ${error.message} (${summary(bytes)})`);
  }
}
