import { expect, test } from "vitest";
import { copyJson } from "../../src/registry/copy.ts";

test("a copy says the same and shares nothing", () => {
  const value = JSON.parse('{"a":[{"b":null,"c":[1,"x",true]}],"__proto__":{"d":1}}');
  const copied = copyJson(value);
  expect(JSON.stringify(copied)).toBe(JSON.stringify(value));
  expect(copied.a).not.toBe(value.a);
  expect(copied.a[0].c).not.toBe(value.a[0].c);
  expect(Object.getPrototypeOf(copied)).toBe(Object.prototype);
});
