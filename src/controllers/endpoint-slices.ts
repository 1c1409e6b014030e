import type { Endpoint, EndpointPort, EndpointSlice } from "../api/types.gen.ts";
import { isSame } from "./owned.ts";

/** Endpoints of equal ports. */
export type EndpointGroup = { ports: EndpointPort[]; endpoints: Endpoint[] };
/** What a slice is to hold; without `slice` a new one. */
export type SliceFill = EndpointGroup & { slice?: EndpointSlice };

/** Kubernetes' default for `--max-endpoints-per-slice`. */
const sliceMax = 100;

/**
 * Every endpoint stays in the slice that it is in, because followers are sent a whole slice for each change in it; those
 * that come go where there is room, first into slices that have lost some. `surplus`: slices that nobody needs.
 */
export function fillSlices(
  slices: readonly EndpointSlice[],
  groups: readonly EndpointGroup[],
): { fills: SliceFill[]; surplus: EndpointSlice[] } {
  const free = new Set(slices);
  const parts = groups.map((group) => keep(group, free));
  const fills = parts.flatMap(({ ports, kept, coming }) => {
    const left = addTo(kept, coming);
    return [...kept, ...(left.length > 0 || kept.length === 0 ? chunked(ports, left, free) : [])];
  });
  return { fills, surplus: [...free] };
}

type Part = { ports: EndpointPort[]; kept: Required<SliceFill>[]; coming: Endpoint[] };

/** An address may be given to the next Pod while the one before is still on its way out. */
const idOf = ({ addresses, targetRef }: Endpoint): string => `${addresses[0]} ${targetRef?.uid ?? ""}`;

/** Slices that have some of the group's endpoints go on with them; they are no longer free. */
function keep({ ports, endpoints }: EndpointGroup, free: Set<EndpointSlice>): Part {
  const coming = new Map(endpoints.map((endpoint) => [idOf(endpoint), endpoint]));
  const kept: Required<SliceFill>[] = [];
  for (const slice of free) {
    if (!isSame(slice.ports ?? [], ports)) continue;
    const own = (slice.endpoints ?? []).flatMap((former) => {
      const endpoint = coming.get(idOf(former));
      coming.delete(idOf(former));
      return endpoint ?? [];
    });
    if (own.length === 0) continue;
    free.delete(slice);
    kept.push({ slice, ports, endpoints: own });
  }
  return { ports, kept, coming: [...coming.values()] };
}

const lost = ({ slice, endpoints }: Required<SliceFill>): number => (slice.endpoints?.length ?? 0) - endpoints.length;

/** Returns those for which there was no room. */
function addTo(kept: readonly Required<SliceFill>[], coming: readonly Endpoint[]): readonly Endpoint[] {
  let left = coming;
  for (const { endpoints } of kept.toSorted((a, b) => lost(b) - lost(a))) {
    const room = Math.max(0, sliceMax - endpoints.length);
    endpoints.push(...left.slice(0, room));
    left = left.slice(room);
  }
  return left;
}

/** A Service without endpoints has a slice all the same. */
function chunked(ports: EndpointPort[], endpoints: readonly Endpoint[], free: Set<EndpointSlice>): SliceFill[] {
  return Array.from({ length: Math.max(1, Math.ceil(endpoints.length / sliceMax)) }, (_, index) => {
    const [slice] = free;
    if (slice) free.delete(slice);
    const own = endpoints.slice(index * sliceMax, (index + 1) * sliceMax);
    return { ...(slice && { slice }), ports, endpoints: own };
  });
}
