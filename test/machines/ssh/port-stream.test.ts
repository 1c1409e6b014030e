import { buffer, text } from "node:stream/consumers";
import { MessageChannel } from "node:worker_threads";
import { expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { portStream } from "../../../src/machines/ssh/port-stream.ts";

function pair() {
  const { port1, port2 } = new MessageChannel();
  return [portStream(port1), portStream(port2)] as const;
}

test("bytes and ends pass both ways", async () => {
  const [near, far] = pair();
  near.end("there");
  far.end("back");
  expect(await Promise.all([text(far), text(near)])).toEqual(["there", "back"]);
});

test("a writer waits for a slow reader, and nothing is lost when it leaves at once", async () => {
  const [near, far] = pair();
  const chunk = Buffer.alloc(100_000, 7);
  let written = 0;
  for (let i = 0; i < 20; i++) {
    near.write(chunk, () => {
      written++;
    });
  }
  near.end();
  near.once("finish", () => near.destroy());
  await systemClock.sleep(30);
  expect(written).toBeLessThan(6);
  expect((await buffer(far)).equals(Buffer.alloc(2_000_000, 7))).toBe(true);
});

test("a side that breaks off breaks the other", async () => {
  const [near, far] = pair();
  far.on("error", () => undefined);
  near.write("half");
  await systemClock.sleep(5);
  near.destroy();
  await expect(text(far)).rejects.toThrow(/premature|aborted/i);
});
