import { invalidValue } from "./errors.ts";
import type { Tags } from "./tags.ts";

export type FilterInput = { Name?: string | undefined; Values?: readonly string[] | undefined };
/** What a filter of a kind of resource looks at, by the filter's name. */
export type Fields<T> = Readonly<Record<string, (thing: T) => readonly (string | undefined)[]>>;

/** Values match as a whole, `*` any characters, `?` one. */
function pattern(value: string): RegExp {
  const escaped = value.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`, "s");
}

/** Whether all filters match; of a filter's values one is enough. `tag:KEY`, `tag-key` and `tag-value` come with `tags`. */
export function matcher<T extends { tags?: Tags }>(
  filters: readonly FilterInput[] | undefined,
  fields: Fields<T>,
): (thing: T) => boolean {
  const tests = (filters ?? []).map(({ Name: name = "", Values: values = [] }) => {
    const patterns = values.map(pattern);
    const read = readerOf(name, fields);
    return (thing: T) => read(thing).some((value) => value !== undefined && patterns.some((each) => each.test(value)));
  });
  return (thing) => tests.every((test) => test(thing));
}

function readerOf<T extends { tags?: Tags }>(
  name: string,
  fields: Fields<T>,
): (thing: T) => readonly (string | undefined)[] {
  if (name.startsWith("tag:")) return ({ tags }) => [tags?.get(name.slice(4))];
  if (name === "tag-key") return ({ tags }) => [...(tags?.keys() ?? [])];
  if (name === "tag-value") return ({ tags }) => [...(tags?.values() ?? [])];
  const reader = fields[name];
  if (reader === undefined) throw invalidValue(`The filter '${name}' is invalid`);
  return reader;
}
