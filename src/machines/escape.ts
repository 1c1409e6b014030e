import { DroverError } from "../base/errors.ts";

/** One function per place that a value can be put into, so that a value never ends the place it was put into. */

const refuse = (message: string): DroverError => new DroverError("TEMPLATE_INVALID", message);

/** `\uXXXX` or `\UXXXXXXXX`: understood alike by YAML's double quotes and by systemd's. */
function escapeCodePoint(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

const unprintable = /[^\x20-\x7e]/gu;
const lone = /\p{Surrogate}/gu;

const doubleQuoted = (text: string): string =>
  `"${text.replace(lone, "\ufffd").replace(/["\\]/g, "\\$&").replace(unprintable, escapeCodePoint)}"`;

/** A YAML scalar, always double-quoted text. */
export const yamlScalar = (text: string): string => doubleQuoted(text);

/**
 * One word of a POSIX shell, in single quotes.
 * @throws TEMPLATE_INVALID for control characters and line breaks of any kind, which would also end a YAML block
 */
export function shellWord(text: string): string {
  if (/[\p{Cc}\p{Zl}\p{Zp}\p{Surrogate}\ufeff]/u.test(text)) {
    throw refuse(`A shell word may not hold control characters: ${JSON.stringify(text)}.`);
  }
  return quoteForShell(text);
}

/** One word of a POSIX shell's command line that is not part of a document; only a NUL is not possible in it. */
export const quoteForShell = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * A value in a systemd unit, one word of a command line included: quoted, with specifiers and variables switched off.
 * @throws TEMPLATE_INVALID for a NUL
 */
export function systemdValue(text: string): string {
  if (text.includes("\0")) throw refuse("A value in a systemd unit may not hold a NUL.");
  return doubleQuoted(text).replaceAll("%", "%%").replaceAll("$", "$$$$");
}

/**
 * The lines of a YAML literal block after its first, which the template itself indents.
 * @throws TEMPLATE_INVALID for what a literal block cannot hold
 */
export function yamlBlock(text: string, indent: number): string {
  if (
    /[^\n\x20-\x7e\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]/u.test(text) ||
    /[\u2028\u2029]/.test(text)
  ) {
    throw refuse("A text with tabs or control characters cannot be put into a YAML block.");
  }
  if (text.startsWith(" ")) throw refuse("A text that begins with a space cannot be put into a YAML block.");
  return text
    .trimEnd()
    .split("\n")
    .join(`\n${" ".repeat(indent)}`);
}
