/**
 * A secret on its way to where it is needed: JSON, logs, copies and comparisons show nothing of it. Who compares needs a
 * version beside it.
 */
export class Sealed {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  open(): string {
    return this.#text;
  }
}
