import { expect, test } from "vitest";
import type { EndpointSlice } from "../../src/api/types.gen.ts";
import { fillSlices } from "../../src/controllers/endpoint-slices.ts";

const ports = [{ name: "", protocol: "TCP" as const, port: 80 }];
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);
const endpoints = (numbers: readonly number[]) => numbers.map((number) => ({ addresses: [`10.0.0.${number}`] }));
const slice = (name: string, numbers: readonly number[], port = 80): EndpointSlice => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name },
  addressType: "IPv4",
  ports: [{ name: "", protocol: "TCP", port }],
  endpoints: endpoints(numbers),
});
/** `a:0-2 -:3` for the slice `a` with three endpoints and a new one with one; surplus slices with a `!`. */
function words(slices: readonly EndpointSlice[], numbers: readonly number[]): string {
  const { fills, surplus } = fillSlices(slices, [{ ports, endpoints: endpoints(numbers) }]);
  const told = fills.map((fill) => {
    const own = fill.endpoints.map(({ addresses: [address] }) => Number(address?.split(".").at(-1)));
    const runs = own.map((number, index) => (own[index - 1] === number - 1 ? "-" : ` ${number}`)).join("");
    const shown = runs.replace(/ (\d+)(-+)/g, (_, first, rest) => ` ${first}-${Number(first) + rest.length}`).trim();
    return `${fill.slice?.metadata.name ?? "new"}:${shown.replaceAll(" ", ",")}`;
  });
  return [...told, ...surplus.map(({ metadata }) => `!${metadata.name}`)].join(" ");
}

test.for<[what: string, slices: EndpointSlice[], wanted: number[], want: string]>([
  ["none are one slice without endpoints", [], [], "new:"],
  ["many are divided", [], range(0, 230), "new:0-99 new:100-199 new:200-229"],
  ["nothing changes", [slice("a", [2, 1])], [1, 2], "a:2,1"],
  [
    "one that comes goes where there is room",
    [slice("a", range(0, 100)), slice("b", [200])],
    [...range(0, 100), 150, 200],
    "a:0-99 b:200,150",
  ],
  ["one that comes takes the place of one that goes", [slice("a", [1]), slice("b", [2, 3])], [1, 3, 9], "a:1 b:3,9"],
  [
    "others stay where they are when one of the first goes",
    [slice("a", range(0, 100)), slice("b", range(100, 150))],
    range(1, 150),
    "a:1-99 b:100-149",
  ],
  [
    "a slice without any is given to those for which there is no room",
    [slice("a", range(0, 100)), slice("b", [150])],
    [...range(0, 100), ...range(200, 203)],
    "a:0-99 b:200-202",
  ],
  ["a slice without any goes when nobody needs it", [slice("a", [1]), slice("b", [2])], [1], "a:1 !b"],
  ["the last slice stays without any", [slice("a", [1]), slice("b", [2])], [], "a: !b"],
  ["a slice of other ports is taken up again", [slice("a", [1], 81)], [1], "a:1"],
])("%s", ([, slices, wanted, want]) => {
  expect(words(slices, wanted)).toBe(want);
});

test("two Pods of one address are two endpoints: the one that goes, and the one that was given it next", () => {
  const of = (uid: string, ready: boolean) => ({
    addresses: ["10.0.0.1"],
    conditions: { ready },
    targetRef: { kind: "Pod", name: uid, uid },
  });
  const both = [of("going", false), of("fresh", true)];
  const former = { ...slice("a", []), endpoints: [of("going", true)] };
  expect(fillSlices([], [{ ports, endpoints: both }]).fills).toEqual([{ ports, endpoints: both }]);
  expect(fillSlices([former], [{ ports, endpoints: both }]).fills).toMatchObject([{ endpoints: both }]);
});
