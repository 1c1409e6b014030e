import { expect, test } from "vitest";
import { jsonSyntaxProblem } from "../../src/api/json-syntax.ts";

test.for([
  ["nope", "invalid character 'o' in literal null (expecting 'u')"],
  ["", "unexpected end of JSON input"],
  ['{"apiVersion":"v1",', "unexpected end of JSON input"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ["{a:1}", "invalid character 'a' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b":2}', `invalid character '"' after object key:value pair`],
  ["[1 2]", "invalid character '2' after array element"],
  ["[1,]", "invalid character ']' looking for beginning of value"],
  ["{} x", "invalid character 'x' after top-level value"],
  ["'a'", "invalid character '\\'' looking for beginning of value"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ['"\\q"', "invalid character 'q' in string escape code"],
  ['"\\u12x4"', "invalid character 'x' in \\u hexadecimal character escape"],
  ["-x", "invalid character 'x' in numeric literal"],
  ["1.x", "invalid character 'x' after decimal point in numeric literal"],
  ["1ex", "invalid character 'x' in exponent of numeric literal"],
  ["01", "invalid character '1' after top-level value"],
  ["tru", "unexpected end of JSON input"],
  ["ä", "invalid character 'Ã' looking for beginning of value"],
] as const)("%s is %s", ([json, problem]) => {
  expect(jsonSyntaxProblem(Buffer.from(json))).toBe(problem);
});

test("a thousand brackets are too deep", () => {
  expect(jsonSyntaxProblem(Buffer.from("[".repeat(1001)))).toBe("exceeded max depth");
});

test("a right text has no problem", () => {
  const json = ' {"a": [1, -2.5e+7, "\\u00e4\\n", true, false, null, {}, []]} ';
  expect(jsonSyntaxProblem(Buffer.from(json))).toBeUndefined();
});
