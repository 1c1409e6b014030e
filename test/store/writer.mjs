// Writes to the store in argv[3] (compiled module in argv[2]) until it is killed or a commit fails, eight at a time,
// and says on stdout what was acknowledged.
import { writeSync } from "node:fs";

const [, , module = "", dir = "", valueBytes = "1000"] = process.argv;
const { openLmdb } = await import(module);
const store = await openLmdb(dir);
const value = Buffer.alloc(Number(valueBytes), 1);
let next = (await store.range({ start: "/", end: "0", limit: 1 })).revision;
let failed = false;

async function write() {
  while (!failed) {
    const key = `/key-${next++}`;
    try {
      await store.commit([{ put: key, value, expect: "absent" }]);
      writeSync(1, `${key}\n`);
    } catch (error) {
      failed = true;
      writeSync(1, `failed ${error.code}\n`);
    }
  }
}
await Promise.all(Array.from({ length: 8 }, write));
await store.close();
