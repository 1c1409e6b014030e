import { existsSync } from "node:fs";
import { readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pLimit from "p-limit";
import { DroverError, isCode } from "../../base/errors.ts";
import type { MachineTemplate } from "../cloud.ts";
import { isLocked } from "./lock.ts";
import { processorOf, qemuVersion, type Shape } from "./qemu.ts";
import { buildOnce, cacheDirectory, inputsHash } from "./rootfs.ts";
import { bootAndSave, fetchAndSave, type SavedMachine, type Saving, savedIn } from "./save-machine.ts";

export type SavedMachines = {
  /** The saved machine of this template and shape, made now where there isn't one yet; `signal` ends the wait. */
  ensure(template: MachineTemplate, shape: Shape, signal: AbortSignal): Promise<SavedMachine>;
  /** Ends what is being saved; nothing of it is left. */
  close(): Promise<void>;
};

/** What all saved machines together may take on the disk; the ones unused for longest go first. */
const cacheBytesMax = 20 * 2 ** 30;

/**
 * The saved machines of this computer; they are shared by its clusters. One is booted a user data and size. What differs
 * in nothing but its images continues from that one, or from one that has fetched the images of an earlier revision,
 * for the next one shares most layers with it.
 */
export function openSavedMachines(around: Saving, root = join(cacheDirectory(), "saved")): SavedMachines {
  const turn = pLimit(1);
  const closing = new AbortController();
  const making = new Map<string, Promise<SavedMachine>>();
  return {
    async ensure(template, shape, signal) {
      const { diskBytes, disk } = around.image;
      // Saved disks name the image and each other by their paths: elsewhere they are of no use.
      const made = [template.userData, Math.max(template.diskBytes, diskBytes), shape, disk, root];
      const base = inputsHash([made, processorOf(shape.accelerator), await qemuVersion()]);
      const images = imagesOf(around, template);
      const key = JSON.stringify([base, images]);
      const work =
        making.get(key) ??
        turn(() => ensure(around, root, { base, images }, template, shape, closing.signal)).finally(() =>
          making.delete(key),
        );
      making.set(key, work);
      return unlessAborted(work, signal);
    },
    async close() {
      closing.abort(new DroverError("CLOUD_UNAVAILABLE", "drover is ending."));
      await Promise.allSettled(making.values());
    },
  };
}

/** `work`'s outcome, or the abort where that comes first; `work` goes on for others. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

async function ensure(
  around: Saving,
  root: string,
  { base, images }: { base: string; images: Images },
  template: MachineTemplate,
  shape: Shape,
  signal: AbortSignal,
): Promise<SavedMachine> {
  const { clock, log } = around;
  const instanceId = `i-${base}`;
  const make = async (
    name: string,
    did: string,
    work: (saved: SavedMachine) => Promise<void>,
  ): Promise<SavedMachine> => {
    const path = join(root, name);
    if (!existsSync(path)) {
      await makeRoom(root, shape.memoryBytes);
      const beganMs = clock.monotonicMs();
      const progress = (line: string) => log.info(`template ${template.hash}: ${line}`);
      await buildOnce(path, { progress, signal }, (partial) => work(savedIn(partial, instanceId)));
      log.info(`template ${template.hash}: ${did} in ${Math.round((clock.monotonicMs() - beganMs) / 1000)} s`);
    }
    const nowSeconds = clock.wallMs() / 1000;
    await utimes(path, nowSeconds, nowSeconds);
    return savedIn(path, instanceId);
  };
  const booted = () =>
    make(`${base}-0`, "booted and saved", (saved) => bootAndSave(around, saved, template, shape, signal));
  if (template.prefetch.length === 0) return booted();
  const { name, parent } = chooseSaved(base, await listFamily(root, base), images);
  const from = parent === undefined ? undefined : savedIn(join(root, parent.name), instanceId);
  try {
    return await make(name, "images fetched", async (saved) => {
      await fetchAndSave(around, saved, from ?? (await booted()), template, shape, signal);
      await writeFile(join(saved.directory, imagesFile), JSON.stringify({ ...parent?.images, ...images }));
    });
  } catch (error) {
    // The machines fetch their images by themselves, and say what is wrong with them.
    if (!isCode(error, "BOX_REFUSED")) throw error;
    log.warn(`template ${template.hash}: images can't be fetched ahead: ${error.message}`);
    return from ?? booted();
  }
}

/** What each image's name stands for; null where that isn't known. */
type Images = Record<string, string | null>;

/** `images`: all that it has fetched; none where that isn't known. */
export type SavedSibling = { name: string; generation: number; images?: Images };

const imagesFile = "images.json";

const imagesOf = ({ digestOf }: Saving, { prefetch }: MachineTemplate): Images =>
  Object.fromEntries([...prefetch].sort().map((reference) => [reference, digestOf(reference) ?? null]));

/** Old images pile up from one revision to the next; the line then begins again at the machine that has none. */
const generationsMax = 5;

/**
 * Which saved machine has these images, and the one that it is to be made from: the last used one that doesn't know one
 * of the names as another image, for a machine never fetches what it has. `family`: the one used last at the end.
 */
export function chooseSaved(
  base: string,
  family: readonly SavedSibling[],
  images: Images,
): { name: string; parent?: SavedSibling } {
  const hash = inputsHash([images]);
  const same = family.find(({ name }) => name.endsWith(`-${hash}`));
  if (same !== undefined) return { name: same.name };
  const agrees = (known: Images): boolean =>
    Object.entries(images).every(([name, digest]) => known[name] === undefined || known[name] === digest);
  const parent = family.findLast(
    ({ generation, images: known }) => generation < generationsMax && known !== undefined && agrees(known),
  );
  const name = `${base}-${(parent?.generation ?? 0) + 1}-${hash}`;
  return parent === undefined ? { name } : { name, parent };
}

/** The saved machines of one template and size, the one used last at the end: `BASE-0`, `BASE-GENERATION-IMAGES`. */
async function listFamily(root: string, base: string): Promise<SavedSibling[]> {
  const names = existsSync(root) ? await readdir(root) : [];
  const found = await Promise.all(
    names.flatMap((name) => {
      const text = new RegExp(`^${base}-(\\d+)(?:-[0-9a-f]{16})?$`).exec(name)?.[1];
      return text === undefined ? [] : [sibling(join(root, name), name, Number(text))];
    }),
  );
  return found.sort((a, b) => a.mtimeMs - b.mtimeMs);
}

async function sibling(path: string, name: string, generation: number): Promise<SavedSibling & { mtimeMs: number }> {
  const { mtimeMs } = await stat(path);
  const text = generation === 0 ? "{}" : await readFile(join(path, imagesFile), "utf8").catch(() => undefined);
  return { name, generation, mtimeMs, ...(text !== undefined && { images: JSON.parse(text) as Images }) };
}

/** Lets the saved machines go that were unused for longest until `neededBytes` more fit under the bound. */
async function makeRoom(root: string, neededBytes: number): Promise<void> {
  const names = existsSync(root) ? await readdir(root) : [];
  for (const name of names.filter((each) => /\.partial$|\.lock\.\d+\.\d+$/.test(each))) {
    // Of a drover that was killed at work: what it was making, or its hand on the lock.
    if (!isLocked(join(root, name.replace(/partial$/, "lock"))))
      await rm(join(root, name), { recursive: true, force: true });
  }
  const found = await Promise.all(
    names
      .filter((name) => /^[0-9a-f]{16}-[-0-9a-f]+$/.test(name))
      .map(async (name) => {
        const directory = join(root, name);
        const files = await Promise.all((await readdir(directory)).map((file) => stat(join(directory, file))));
        const sizeBytes = files.reduce((sum, { blocks }) => sum + blocks * 512, 0);
        return { directory, sizeBytes, usedMs: (await stat(directory)).mtimeMs };
      }),
  );
  let totalBytes = found.reduce((sum, { sizeBytes }) => sum + sizeBytes, neededBytes);
  for (const { directory, sizeBytes } of found.sort((a, b) => a.usedMs - b.usedMs)) {
    if (totalBytes <= cacheBytesMax) return;
    // Machines that continue from it hold its files open, so they don't notice.
    await rm(directory, { recursive: true, force: true });
    totalBytes -= sizeBytes;
  }
}
