import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { z } from "zod";

/** What was asked of AWS, kept in a file so that the next start needs not ask again. A file that is damaged is no file. */
export type Kept<T> = { read(): Promise<T | undefined>; write(value: T): Promise<void> };

export const keptIn = <T>(path: string, shape: z.ZodType<T>): Kept<T> => ({
  async read() {
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text === undefined) return undefined;
    try {
      return shape.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined;
    }
  },
  async write(value) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(`${path}.new`, JSON.stringify(value), { mode: 0o600 });
    await rename(`${path}.new`, path);
  },
});
