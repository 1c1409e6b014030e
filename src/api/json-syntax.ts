/** Deeper than any object; everything that walks a value may recurse this far. */
const depthMax = 1000;

/** Thrown inside this file to leave the recursion with the first mistake. */
class Mistake extends Error {
  override readonly name = "Mistake";
}

const quoted = (byte: number): string => {
  if (byte === 0x27) return `'\\''`;
  if (byte === 0x22) return `'"'`;
  const short = new Map([
    [7, "a"],
    [8, "b"],
    [9, "t"],
    [10, "n"],
    [11, "v"],
    [12, "f"],
    [13, "r"],
    [0x5c, "\\"],
  ]).get(byte);
  if (short !== undefined) return `'\\${short}'`;
  if (byte < 0x20 || byte === 0x7f) return `'\\x${byte.toString(16).padStart(2, "0")}'`;
  if ((byte >= 0x80 && byte < 0xa1) || byte === 0xad) return `'\\u00${byte.toString(16)}'`;
  return `'${String.fromCharCode(byte)}'`;
};

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;
const isHex = (byte: number): boolean =>
  isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
const of = (char: string): number => char.charCodeAt(0);

/**
 * What is wrong with a JSON text, in the words that Kubernetes answers with, e.g.
 * `invalid character 'o' in literal null (expecting 'u')`; undefined when nothing is.
 */
export function jsonSyntaxProblem(json: Uint8Array): string | undefined {
  try {
    new Walk(json).document();
    return undefined;
  } catch (error) {
    if (error instanceof Mistake) return error.message;
    throw error;
  }
}

class Walk {
  readonly #json: Uint8Array;
  #at = 0;
  #depth = 0;

  constructor(json: Uint8Array) {
    this.#json = json;
  }

  document(): void {
    this.#value();
    this.#skipSpace();
    if (this.#at < this.#json.length) throw this.#mistake("after top-level value");
  }

  #mistake(where: string): Mistake {
    const byte = this.#json[this.#at];
    return new Mistake(
      byte === undefined ? "unexpected end of JSON input" : `invalid character ${quoted(byte)} ${where}`,
    );
  }

  #skipSpace(): number | undefined {
    while (isSpace(this.#json[this.#at])) this.#at++;
    return this.#json[this.#at];
  }

  #value(): void {
    const byte = this.#skipSpace();
    if (byte === of("{")) this.#members();
    else if (byte === of("[")) this.#items();
    else if (byte === of('"')) this.#string();
    else if (byte === of("-") || isDigit(byte)) this.#number();
    else this.#literal(byte);
  }

  #literal(byte: number | undefined): void {
    const word = ["true", "false", "null"].find((literal) => of(literal) === byte);
    if (word === undefined) throw this.#mistake("looking for beginning of value");
    for (const char of word) {
      if (this.#json[this.#at] !== of(char)) throw this.#mistake(`in literal ${word} (expecting '${char}')`);
      this.#at++;
    }
  }

  #enter(): void {
    this.#at++;
    if (++this.#depth > depthMax) throw new Mistake("exceeded max depth");
  }

  #leave(): void {
    this.#at++;
    this.#depth--;
  }

  #members(): void {
    this.#enter();
    let more = this.#skipSpace() !== of("}");
    while (more) {
      if (this.#skipSpace() !== of('"')) throw this.#mistake("looking for beginning of object key string");
      this.#string();
      if (this.#skipSpace() !== of(":")) throw this.#mistake("after object key");
      this.#at++;
      this.#value();
      more = this.#goesOn("}", "after object key:value pair");
    }
    this.#leave();
  }

  #items(): void {
    this.#enter();
    let more = this.#skipSpace() !== of("]");
    while (more) {
      this.#value();
      more = this.#goesOn("]", "after array element");
    }
    this.#leave();
  }

  /** Steps over a comma; false before the closing bracket. */
  #goesOn(end: string, where: string): boolean {
    const byte = this.#skipSpace();
    if (byte === of(end)) return false;
    if (byte !== of(",")) throw this.#mistake(where);
    this.#at++;
    return true;
  }

  #string(): void {
    for (this.#at++; ; this.#at++) {
      const byte = this.#json[this.#at];
      if (byte === undefined || byte < 0x20) throw this.#mistake("in string literal");
      if (byte === of('"')) break;
      if (byte === of("\\")) this.#escape();
    }
    this.#at++;
  }

  #escape(): void {
    const byte = this.#json[++this.#at];
    if (byte === undefined || !'bfnrt\\/"u'.includes(String.fromCharCode(byte)))
      throw this.#mistake("in string escape code");
    if (byte !== of("u")) return;
    for (let digit = 0; digit < 4; digit++) {
      const hex = this.#json[++this.#at];
      if (hex === undefined || !isHex(hex)) throw this.#mistake("in \\u hexadecimal character escape");
    }
  }

  #number(): void {
    if (this.#json[this.#at] === of("-")) this.#at++;
    if (this.#json[this.#at] === of("0")) this.#at++;
    else this.#digits("in numeric literal");
    if (this.#json[this.#at] === of(".")) {
      this.#at++;
      this.#digits("after decimal point in numeric literal");
    }
    if (this.#json[this.#at] === of("e") || this.#json[this.#at] === of("E")) {
      this.#at++;
      if (this.#json[this.#at] === of("+") || this.#json[this.#at] === of("-")) this.#at++;
      this.#digits("in exponent of numeric literal");
    }
  }

  #digits(where: string): void {
    if (!isDigit(this.#json[this.#at])) throw this.#mistake(where);
    while (isDigit(this.#json[this.#at])) this.#at++;
  }
}
