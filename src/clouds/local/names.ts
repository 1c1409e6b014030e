import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { isIPv4 } from "node:net";
import { join } from "node:path";
import { DroverError } from "../../base/errors.ts";
import type { NameRecord, Names } from "../cloud.ts";
import type { Holder } from "./holder-client.ts";
import { normalName, type Zone } from "./resolver.ts";

/** The names of the machines' network. They are kept on disk and answered by the holder, with drover or without it. */
export function openNames(o: { folder: string; domain: string; holder: Holder }): Names {
  const path = zonePath(o.folder);
  let last: Promise<unknown> = Promise.resolve();
  return {
    change(changes) {
      for (const record of changes) assertRecord(record);
      const done = last.then(async () => {
        const zone = { domain: o.domain, records: changed(readZone(path)?.records ?? [], changes) };
        writeFileSync(`${path}.new`, JSON.stringify(zone), { mode: 0o600 });
        renameSync(`${path}.new`, path);
        await o.holder.loadNames();
      });
      last = done.catch(() => undefined);
      return done;
    },
    list: async () => readZone(path)?.records ?? [],
  };
}

/** Where a cluster's names are kept. */
export const zonePath = (folder: string): string => join(folder, "names.json");

/** The names on disk; undefined before there were any. */
export function readZone(path: string): Zone | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Zone;
  } catch {
    return undefined;
  }
}

/** One record a name and type; one without values is taken away. */
export function changed(records: readonly NameRecord[], changes: readonly NameRecord[]): NameRecord[] {
  const key = ({ name, type }: NameRecord) => `${type} ${normalName(name)}`;
  const all = new Map([...records, ...changes].map((record) => [key(record), record]));
  return [...all.values()].filter(({ values }) => values.length > 0);
}

/** @throws CLOUD_INVALID */
function assertRecord({ name, type, values, ttlSeconds }: NameRecord): void {
  const isName = (text: string) => text.length <= 254 && /^(?:[a-z0-9_*-]{1,63}(?:\.|$))+$/i.test(text);
  const good = type === "A" ? values.every((value) => isIPv4(value)) : values.length <= 1 && values.every(isName);
  if (isName(name) && good && Number.isInteger(ttlSeconds) && ttlSeconds >= 0 && ttlSeconds <= 2 ** 31 - 1) return;
  throw new DroverError("CLOUD_INVALID", `${name} can't have the ${type} record ${values.join(", ")}.`, { name });
}
