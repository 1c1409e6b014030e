/** Every field of a value with its path, in the order in which they were written. */
function* paths(value: unknown, at: string): Generator<string> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* paths(item, `${at}[${index}]`);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      const path = at === "" ? key : `${at}.${key}`;
      yield path;
      yield* paths(item, path);
    }
  }
}

/** `found`, paths into `value`, in the order in which `value` was written. */
export function inDocumentOrder(value: unknown, found: string[]): string[] {
  if (found.length < 2) return found;
  const wanted = new Set(found);
  const ordered: string[] = [];
  for (const path of paths(value, "")) if (wanted.has(path)) ordered.push(path);
  return ordered;
}

/**
 * The problems of a strict reading as Kubernetes words them, for the `Warning` headers of a lax one and the message of
 * a strict one: duplicates and unknown fields in the order of the document. `yaml` is what the YAML parser said of
 * duplicates, which stands first and alone.
 */
export function strictProblems(
  body: { value: unknown; duplicates: readonly string[]; yaml?: string },
  unknown: readonly string[],
): string[] {
  if (body.yaml !== undefined) return [body.yaml, ...unknown.map((path) => `unknown field "${path}"`)];
  const duplicate = new Set(body.duplicates);
  const all = inDocumentOrder(body.value, [...new Set([...body.duplicates, ...unknown])]);
  return all.map((path) => `${duplicate.has(path) ? "duplicate" : "unknown"} field "${path}"`);
}
