import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../../base/clock.ts";
import type { Send } from "./api.ts";
import { type InstanceType, listInstanceTypes, listOfferings } from "./instance-types.ts";
import { keptIn } from "./kept.ts";

/** Types of a region and the zones that have them, `TYPE ZONE`. */
export type Catalog = { types: readonly InstanceType[]; offerings: ReadonlySet<string> };

/** AWS adds types a few times a month. */
const ageMaxMs = 86_400_000;

/** Another number whenever the shape below means something else than before. */
const version = 2;
const keptShape = z.object({
  version: z.literal(version),
  atMs: z.number(),
  zones: z.array(z.string()).readonly(),
  types: z.array(
    z.object({
      name: z.string(),
      architecture: z.enum(["amd64", "arm64"]),
      vcpus: z.number(),
      cpuMillis: z.number(),
      memoryBytes: z.number(),
      gpus: z.number(),
      capacityTypes: z.array(z.enum(["on-demand", "spot"])).readonly(),
      labels: z.record(z.string(), z.string()),
    }),
  ),
  offerings: z.array(z.string()).readonly(),
});

export type CatalogOptions = {
  send: Send;
  clock: Clock;
  region: string;
  /** A folder in which the catalog outlives the process. Absent: it does not. */
  cacheDir?: string | undefined;
  tell: (message: string) => void;
};

/**
 * The catalog of these zones, at most a day old; an older one is used when AWS can't be asked.
 * @throws CLOUD_AUTH, CLOUD_THROTTLED, CLOUD_UNAVAILABLE: it was never read
 */
export function openCatalog({ send, clock, region, cacheDir, tell }: CatalogOptions) {
  const file = cacheDir === undefined ? undefined : keptIn(join(cacheDir, `instance-types-${region}.json`), keptShape);
  let known: { catalog: Catalog; zones: string; atMs: number } | undefined;
  let reading: { zones: string; catalog: Promise<Catalog> } | undefined;

  /** A clock that was set back makes nothing young. */
  const isFresh = (atMs: number): boolean => Math.abs(clock.wallMs() - atMs) < ageMaxMs;

  async function fromFile(zones: readonly string[]): Promise<void> {
    const kept = await file?.read();
    if (!kept || kept.zones.join() !== zones.join()) return;
    const catalog = { types: kept.types, offerings: new Set(kept.offerings) };
    known = { catalog, zones: zones.join(), atMs: kept.atMs };
  }

  async function fromAws(zones: readonly string[], signal?: AbortSignal): Promise<Catalog> {
    const [types, offerings] = await Promise.all([listInstanceTypes(send, signal), listOfferings(send, zones, signal)]);
    const catalog = { types, offerings };
    const atMs = clock.wallMs();
    known = { catalog, zones: zones.join(), atMs };
    const kept = { version, atMs, zones, types, offerings: [...offerings] } as const;
    await file
      ?.write(kept)
      .catch((error: unknown) => tell(`The list of instance types can't be kept in ${cacheDir}: ${String(error)}`));
    return catalog;
  }

  return async (zones: readonly string[], signal?: AbortSignal): Promise<Catalog> => {
    const wanted = [...zones].sort();
    if (known?.zones !== wanted.join()) await fromFile(wanted);
    const last = known?.zones === wanted.join() ? known : undefined;
    if (last && isFresh(last.atMs)) return last.catalog;
    if (reading?.zones !== wanted.join()) reading = { zones: wanted.join(), catalog: fromAws(wanted, signal) };
    const { catalog } = reading;
    try {
      return await catalog;
    } catch (error) {
      signal?.throwIfAborted();
      if (!last) throw error;
      tell(`Instance types are those of an earlier day: ${String(error)}`);
      known = { ...last, atMs: clock.wallMs() - ageMaxMs + retryMs };
      return last.catalog;
    } finally {
      if (reading?.catalog === catalog) reading = undefined;
    }
  };
}

/** An old catalog is good enough for so long before AWS is asked again. */
const retryMs = 300_000;
