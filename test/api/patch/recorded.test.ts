import { expect, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import { patchObject } from "../../../src/api/patch/patch.ts";
import { type Exchange, exchanges } from "../../oracle/recorded.ts";

/** Without what the server adds to a patched object or takes from it: empty values, unknown fields, its own metadata. */
const pruned = (value: unknown): object =>
  JSON.parse(
    JSON.stringify(value, (key, item) => {
      if (["generation", "managedFields", "nope"].includes(key)) return undefined;
      return item !== null && typeof item === "object" && Object.keys(item).length === 0 ? undefined : item;
    }),
  );

/** Patches with the object that each was sent to; refusals that later layers give are left out. */
const patches = exchanges(/^patch (?!custom)/).flatMap(({ name, exchanges: [created, ...rest] }) => {
  let before = created?.answer.body;
  return rest.flatMap((exchange, index) => {
    const target = before as KubeObject;
    const { status, body } = exchange.answer;
    if (status === 200 && !exchange.path.includes("dryRun")) before = body;
    const isLater = status === 404 || String(body["message"]).includes(" is invalid: ");
    return exchange.method !== "PATCH" || isLater ? [] : [{ name: `${name}, step ${index + 1}`, target, exchange }];
  });
});

function patched(target: KubeObject, { contentType = "", body }: Exchange): unknown {
  const kind = kinds.get(`${target.apiVersion}/${target.kind}`);
  if (!kind) throw new Error(`the table has no ${target.kind}`);
  return patchObject(kind, contentType, target, Buffer.from(typeof body === "string" ? body : JSON.stringify(body)));
}

test("the recording holds patches", () => expect(patches.length).toBeGreaterThan(30));

test.for(patches)("$name answers as Kubernetes", ({ target, exchange }) => {
  const before = JSON.stringify(target);
  if (exchange.answer.status === 200) {
    expect(pruned(exchange.answer.body)).toMatchObject(pruned(patched(target, exchange)));
  } else {
    const { code, message, reason, details } = exchange.answer.body;
    const status = {
      code,
      message,
      ...(reason !== undefined && { reason }),
      ...(details !== undefined && { details }),
    };
    const refusal = expect.objectContaining({ status: expect.objectContaining(status) });
    expect(() => patched(target, exchange)).toThrow(refusal);
  }
  expect(JSON.stringify(target)).toBe(before);
});
