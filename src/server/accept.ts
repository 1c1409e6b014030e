import { ApiError } from "../api/status.ts";

/** The form in which objects are served. */
export type Form =
  | { as: "object"; yaml: boolean }
  | { as: "table" | "metadata" | "metadataList"; yaml: boolean; version: "v1" | "v1beta1" };

type MediaRange = { type: string; parameters: Record<string, string>; quality: number };

const plain: Form = { as: "object", yaml: false };
const forms = { Table: "table", PartialObjectMetadata: "metadata", PartialObjectMetadataList: "metadataList" } as const;
const served = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/** Any media type at all that drover can write. */
const writable = new Map([
  ["application/json", false],
  ["application/yaml", true],
  ["application/*", false],
  ["*/*", false],
]);

const cache = new Map<string, Form | undefined>();
const cacheMax = 256;

/** The form asked for. @throws 406 when none of the accepted ones can be served */
export function negotiate(accept: string | undefined, watching: boolean): Form {
  if (accept === undefined || accept === "application/json" || accept === "*/*" || accept === "") return plain;
  let form = cache.get(accept);
  if (form === undefined && !cache.has(accept)) {
    form = choose(parse(accept));
    if (cache.size >= cacheMax) cache.clear();
    cache.set(accept, form);
  }
  if (form !== undefined) return form;
  const known = parse(accept).some(({ type }) => writable.has(type) || served.includes(type));
  throw known ? notAcceptable() : unknownMedia(watching);
}

function choose(ranges: readonly MediaRange[]): Form | undefined {
  for (const { type, parameters } of ranges) {
    const yaml = writable.get(type);
    if (yaml === undefined) continue;
    const { as, g, v } = parameters;
    if (as === undefined) return { as: "object", yaml };
    const form = Object.hasOwn(forms, as) ? forms[as as keyof typeof forms] : undefined;
    if (form !== undefined && g === "meta.k8s.io" && (v === "v1" || v === "v1beta1")) {
      return { as: form, yaml, version: v };
    }
  }
  return undefined;
}

/** The header's ranges, the most wanted first. */
function parse(accept: string): MediaRange[] {
  const ranges = accept.split(",").map((part) => {
    const [type = "", ...rest] = part.split(";").map((piece) => piece.trim());
    const parameters = Object.fromEntries(rest.map((each) => each.split("=", 2)));
    return { type: type.toLowerCase(), parameters, quality: Number(parameters["q"] ?? 1) };
  });
  return ranges.filter(({ quality }) => quality > 0).sort((a, b) => b.quality - a.quality);
}

export const notAcceptable = (message?: string): ApiError =>
  new ApiError(406, "NotAcceptable", message ?? `only the following media types are accepted: ${served.join(", ")}`);

const unknownMedia = (watching: boolean): ApiError => {
  const all = watching ? [...served, `${served[0]};stream=watch`, `${served[2]};stream=watch`] : served;
  const text = `406: Not Acceptable\n\nAvailable representations: ${all.join(", ")}`;
  return new ApiError(406, "NotAcceptable", text, {});
};
