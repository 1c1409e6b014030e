import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import { buildDemoImages } from "../clouds/local/demo-image.ts";
import { buildGuestImage } from "../clouds/local/image.ts";
import { listImages, loadImage } from "../clouds/local/registry.ts";
import { openTools } from "../clouds/local/tools.ts";
import { homeFolder } from "./home.ts";
import { prepareHost } from "./prepare-host.ts";
import type { Terminal } from "./print.ts";

/** Everything that the demonstration needs on this computer: packages, guest image, tools, container images. Kept. */
export async function prepareLocal(io: Terminal, yes: boolean): Promise<void> {
  await prepareHost(io, yes);
  await step(io, "guest image (Debian 12)", (progress) => buildGuestImage({ progress }));
  await step(io, "tools (haproxy and friends, in a folder of drover's own)", (progress) => openTools({ progress }));
  await step(io, "demo images", async (progress) => {
    const images = await buildDemoImages({ progress });
    await loadOnce(images);
  });
}

/** Says what is being made with its newest line of progress, and how long it took; nothing where it was there already. */
async function step(
  io: Terminal,
  name: string,
  work: (progress: (line: string) => void) => Promise<unknown>,
): Promise<void> {
  const startMs = systemClock.monotonicMs();
  await work((line) => io.live([`${name}: ${line.slice(0, 100)}`]));
  io.settle();
  const seconds = Math.round((systemClock.monotonicMs() - startMs) / 1_000);
  if (seconds > 2) io.say(`${name}: ready after ${seconds} s`);
}

/** The archives go into the machines' registry when they are others than last time or the registry was emptied. */
async function loadOnce(images: readonly { reference: string; archive: string }[]): Promise<void> {
  const home = homeFolder();
  const stamp = join(home, "registry", "demo-images.json");
  const wanted = JSON.stringify(images);
  const present = new Set(await listImages({ home }));
  const known = existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
  if (known && images.every(({ reference }) => [...present].some((each) => each.endsWith(reference)))) return;
  for (const { reference, archive } of images) await loadImage({ home, archive, reference, clock: systemClock });
  writeFileSync(stamp, wanted);
}
