import { expect, test } from "vitest";
import { parseBody } from "../../src/api/body.ts";
import { strictProblems } from "../../src/api/strict.ts";

const parse = (text: string, type = "application/json", kind = "ConfigMap") => parseBody(Buffer.from(text), type, kind);

test("JSON says which keys it repeats, and the last one counts", () => {
  const text = '{"data":{"k":"1","k":"2"},"list":[{"a":1},{"a":1,"a":2}],"s":"\\"k\\": {"}';
  expect(parse(text)).toEqual({
    value: { data: { k: "2" }, list: [{ a: 1 }, { a: 2 }], s: '"k": {' },
    duplicates: ["data.k", "list[1].a"],
  });
});

test.for([
  ['{"a":"b:c","d":"\\\\","e":"\\"x\\":"}', []],
  ['{"a":{"b":1},"c":{"b":1}}', []],
  ['{ "a" : 1 , "\\u0061" : 2 }', ["a"]],
] as const)("%s repeats %j", ([text, duplicates]) => expect(parse(text).duplicates).toEqual(duplicates));

test.for([
  ["yes", true],
  ["off", false],
  ["2001-01-01", "2001-01-01"],
  ["12:30:45", "12:30:45"],
  ["0777", 511],
  ["~", null],
  ["1e3", 1000],
  ["'1'", "1"],
] as const)("YAML reads %s as %j", ([text, value]) => {
  expect(parse(`a: ${text}\n`, "application/yaml").value).toEqual({ a: value });
});

test("keys of YAML that are no text become text", () => {
  expect(parse("1: a\ntrue: b\n", "application/yaml").value).toEqual({ "1": "a", true: "b" });
});

test("only the first document of a YAML stream counts", () => {
  expect(parse("a: 1\n---\nb: 2\n", "application/yaml").value).toEqual({ a: 1 });
});

test("YAML says on which line a key is repeated", () => {
  const body = parse("spec:\n  replicas: 1\n  replicas: 2\n", "application/yaml");
  expect(body.value).toEqual({ spec: { replicas: 2 } });
  expect(strictProblems(body, ["x"])).toEqual([
    'yaml: unmarshal errors:\n  line 3: key "replicas" already set in map',
    'unknown field "x"',
  ]);
});

test("problems of a strict reading stand in the order of the document", () => {
  const body = parse('{"metadata":{"nope":1},"data":{"k":"1","k":"2"},"foo":1}');
  expect(strictProblems(body, ["metadata.nope", "foo"])).toEqual([
    'unknown field "metadata.nope"',
    'duplicate field "data.k"',
    'unknown field "foo"',
  ]);
});

test("a patch may be a list", () => expect(parse("[]", "application/json-patch+json", "").value).toEqual([]));

test("parameters of the media type do not matter", () => {
  expect(parse("{}", "application/json; charset=utf-8").value).toEqual({});
});

test("another media type is refused", () => {
  expect(() => parse("x", "text/plain")).toThrow(/^the body of the request was in an unknown format - accepted/);
});

test("a long body that is none is shown by its beginning", () => {
  expect(() => parse(`x${"y".repeat(100)}`)).toThrow(/\(78(79){29} \.\.\.\)$/);
});

test.for([
  ["JSON", "application/json", `{"a":${"[".repeat(5000)}${"]".repeat(5000)}}`],
  ["YAML", "application/yaml", `a: ${"[".repeat(5000)}${"]".repeat(5000)}`],
] as const)("%s that nests too deeply is refused", ([, type, text]) => {
  expect(() => parse(text, type)).toThrow(/^the object provided is unrecognized .*(max depth|excessive|yaml)/);
});

test("YAML that repeats itself without end is refused", () => {
  const bomb = ["a: &a [x,x,x,x,x,x,x,x,x,x]"];
  for (const [from, to] of ["ab", "bc", "cd", "de", "ef", "fg"].map((pair) => pair.split(""))) {
    bomb.push(`${to}: &${to} [${`*${from},`.repeat(9)}*${from}]`);
  }
  expect(() => parse(bomb.join("\n"), "application/yaml")).toThrow(/excessive aliasing/);
});
