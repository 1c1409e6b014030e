/** Compiles `src/` to `dist/` unless that is up to date. */
export function build(): void;
