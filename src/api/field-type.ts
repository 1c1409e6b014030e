/** A type of the schema table, taken apart. `name` of a scalar is the table's own word (`string`, `quantity`, `time`…). */
export type FieldType =
  | { is: "scalar"; name: string }
  | { is: "ref"; to: string }
  | { is: "list" | "map"; of: FieldType }
  /** A list in JSON that is a message with one repeated field on the wire. */
  | { is: "wireList"; of: FieldType };

const parsed = new Map<string, FieldType>();

/** Reads the table's notation: `ref:core.v1.Pod`, `list<string>`, `map<wlist<string>>`. */
export function fieldType(text: string): FieldType {
  const known = parsed.get(text);
  if (known) return known;
  const type = parse(text);
  parsed.set(text, type);
  return type;
}

function parse(text: string): FieldType {
  if (text.startsWith("ref:")) return { is: "ref", to: text.slice(4) };
  const [, outer, inner] = /^(list|map|wlist)<(.+)>$/.exec(text) ?? [];
  if (outer === undefined || inner === undefined) return { is: "scalar", name: text };
  return { is: outer === "list" || outer === "map" ? outer : "wireList", of: fieldType(inner) };
}
