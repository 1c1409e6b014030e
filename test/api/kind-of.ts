import { type Kind, kinds } from "../../src/api/kinds.ts";

/** The kind with this id, `apps/v1/Deployment`; a test that names another is wrong. */
export function kindOf(id: string): Kind {
  const kind = kinds.get(id);
  if (!kind) throw new Error(`no kind ${id}`);
  return kind;
}
