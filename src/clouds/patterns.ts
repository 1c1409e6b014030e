/**
 * A pattern of AWS' load balancers as the source of a regular expression for all of a text: `*` stands for any
 * characters, `?` for one, everything else for itself.
 */
export const patternSource = (pattern: string): string =>
  `^${pattern.replace(/[\\^$.*+?()[\]{}|]/g, (sign) => (sign === "*" ? ".*" : sign === "?" ? "." : `\\${sign}`))}$`;
