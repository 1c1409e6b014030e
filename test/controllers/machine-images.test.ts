import { expect, test } from "vitest";
import type { NodeSelectorRequirement, Pod, PodSpec } from "../../src/api/types.gen.ts";
import { DroverError } from "../../src/base/errors.ts";
import { VirtualClock } from "../../src/base/virtual.ts";
import type { Architecture, Cloud, Offer } from "../../src/clouds/cloud.ts";
import { type MachineImagesOptions, openMachineImages } from "../../src/controllers/machine-images.ts";

const platforms: Record<string, readonly Architecture[] | undefined> = {
  both: ["amd64", "arm64"],
  arm: ["arm64"],
  intel: ["amd64"],
  mainframe: [],
};
const offer = (type: string, architecture: Architecture): Offer => ({
  ...{ type, zone: "a", capacityType: "on-demand", architecture, elastic: false, priceUsdPerHour: 1 },
  ...{ cpuMillis: 1_000, memoryBytes: 2 ** 30, left: { machines: 1, cpuMillis: 0, memoryBytes: 0 } },
});

/** Machine images by their id: for which architecture they are; every other reference is a family of both. */
const ids: Record<string, Architecture> = { "ami-00000000a": "amd64", "ami-00000000b": "arm64" };

function open(more: Partial<MachineImagesOptions> = {}) {
  const asked: string[] = [];
  const machines = {
    offers: async () => [offer("m7a.large", "amd64"), offer("m7g.large", "arm64")],
    image: async (reference: string, architecture: Architecture) => {
      asked.push(architecture);
      if ((ids[reference] ?? architecture) !== architecture)
        throw new DroverError(
          "CLOUD_INVALID",
          `${reference} is made for ${ids[reference]}, the Pod for ${architecture}`,
        );
      return { id: `${reference}/${architecture}`, family: "debian", architecture, diskBytesMin: 0 } as const;
    },
  };
  const images = openMachineImages({
    view: { get: () => undefined } as never,
    cloud: { machines } as unknown as Cloud,
    clock: new VirtualClock(),
    platformsOf: async (image) => platforms[image],
    ...more,
  });
  return { images, asked };
}

const pod = (spec: Partial<PodSpec>, annotations: Record<string, string> = {}): Pod => ({
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "p", namespace: "default", annotations } },
  spec: { containers: [{ name: "c", image: "both" }], ...spec },
});
const images = (...names: string[]): Partial<PodSpec> => ({
  containers: names.map((image, index) => ({ name: `c${index}`, image })),
});
const is = (key: string, operator: string, ...values: string[]): NodeSelectorRequirement => ({ key, operator, values });
const required = (...terms: NodeSelectorRequirement[][]): Partial<PodSpec> => ({
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: terms.map((matchExpressions) => ({ matchExpressions })),
      },
    },
  },
});
const preferred = (...values: [number, string][]): Partial<PodSpec> => ({
  affinity: {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: values.map(([weight, value]) => ({
        weight,
        preference: { matchExpressions: [is(arch, "In", value)] },
      })),
    },
  },
});
const arch = "kubernetes.io/arch";
const type = "node.kubernetes.io/instance-type";
const neither = /^No machine runs the images of this Pod: /;

test.for<[string, Partial<PodSpec>, Architecture | RegExp, Record<string, string>?]>([
  ["who says nothing", {}, "amd64"],
  ["who selects one", { nodeSelector: { [arch]: "arm64" } }, "arm64"],
  ["who selects one by its former name", { nodeSelector: { "beta.kubernetes.io/arch": "arm64" } }, "arm64"],
  ["whose affinity allows one", required([is(arch, "In", "arm64")]), "arm64"],
  ["whose affinity allows both", required([is(arch, "In", "arm64", "amd64")]), "amd64"],
  ["whose affinity excludes one", required([is(arch, "NotIn", "amd64")]), "arm64"],
  [
    "whose every term allows one",
    required([is(arch, "In", "arm64"), is("a", "Exists")], [is(arch, "In", "arm64")]),
    "arm64",
  ],
  [
    "one of whose terms says nothing of it",
    required([is(arch, "In", "arm64")], [is("topology.kubernetes.io/zone", "Exists")]),
    "amd64",
  ],
  [
    "whose selector and affinity leave none",
    { nodeSelector: { [arch]: "arm64" }, ...required([is(arch, "In", "amd64")]) },
    "amd64",
  ],
  ["who prefers one", preferred([1, "arm64"]), "arm64"],
  ["who prefers the other one more", preferred([1, "arm64"], [2, "amd64"]), "amd64"],
  ["whose image is made for one", images("arm"), "arm64"],
  ["one of whose images is made for one", images("both", "arm"), "arm64"],
  ["whose image is made for the other than it prefers", { ...images("intel"), ...preferred([1, "arm64"]) }, "amd64"],
  ["whose image's registry does not tell", images("unheard-of"), "amd64"],
  ["whose images have nothing in common", images("arm", "intel"), neither],
  ["whose image is made for neither", images("mainframe"), neither],
  ["whose image is not made for what it selects", { ...images("arm"), nodeSelector: { [arch]: "amd64" } }, neither],
  ["who names a type of one", { nodeSelector: { [type]: "m7g.large" } }, "arm64"],
  ["who names types of both", required([is(type, "In", "m7g.large", "m7a.large")]), "amd64"],
  ["who names a type that there is not", { nodeSelector: { [type]: "m1.large" } }, "amd64"],
  ["whose machine image is made for one", {}, "arm64", { "drover.dev/image": "ami-00000000b" }],
  [
    "who selects another than its machine image is made for",
    { nodeSelector: { [arch]: "amd64" } },
    /is made for arm64, the Pod for amd64/,
    { "drover.dev/image": "ami-00000000b" },
  ],
  ["whose image is its machine image", images("ami-00000000b"), "arm64"],
  ["whose packages stand in for its image", images("arm"), "amd64", { "drover.dev/engine": "native" }],
])("a Pod %s", async ([_who, spec, want, annotations]) => {
  const { images: found } = open();
  const asking = pod(spec, annotations);
  await found.lookUp(found.lookupOf(asking));
  if (want instanceof RegExp) expect(() => found.imageOf(asking)).toThrow(want);
  else expect(found.imageOf(asking)?.architecture).toBe(want);
});

test("the refusal names each image, what it is made for, and what the Pod allows", async () => {
  const { images: found } = open();
  const asking = pod({ ...images("arm"), nodeSelector: { [arch]: "amd64" } });
  await found.lookUp(found.lookupOf(asking));
  expect(() => found.imageOf(asking)).toThrow(
    "No machine runs the images of this Pod: arm is made for arm64; the Pod allows amd64 (nodeSelector, node affinity on kubernetes.io/arch).",
  );
});

test("where there are machines of one architecture no registry is asked", async () => {
  const { images: found, asked } = open();
  const without = openMachineImages({
    view: { get: () => undefined } as never,
    cloud: { machines: { image: async (id: string, one: Architecture) => ({ id, architecture: one }) } } as never,
    clock: new VirtualClock(),
  });
  expect(without.lookupOf(pod(images("arm"))).images).toEqual([]);
  expect(found.lookupOf(pod(images("arm"))).images).toEqual(["arm"]);
  expect(asked).toEqual([]);
});

test("a cloud that fails is no answer", async () => {
  const machines = { image: async () => Promise.reject(new DroverError("CLOUD_UNAVAILABLE", "gone")) };
  const { images: found } = open({ cloud: { machines } as never });
  await expect(found.lookUp(found.lookupOf(pod({})))).rejects.toThrow("gone");
  expect(found.imageOf(pod({}))).toBeUndefined();
});

test("that there is no image is believed for a minute, and what was found stays", async () => {
  const clock = new VirtualClock();
  const { images: found, asked } = open({ clock });
  const none = pod({ nodeSelector: { [arch]: "amd64" } }, { "drover.dev/image": "ami-00000000b" });
  await found.lookUp(found.lookupOf(none));
  await found.lookUp(found.lookupOf(pod({})));
  await clock.advance(59_000);
  expect(() => found.imageOf(none)).toThrow("is made for arm64");
  await clock.advance(1_000);
  expect(found.imageOf(none)).toBeUndefined();
  expect(found.imageOf(pod({}))?.architecture).toBe("amd64");
  expect(asked).toEqual(["amd64", "amd64"]);
});

test.for([
  ["of this lookup alone is kept, so that nobody waits for it", {}, /^no such right$/],
  ["that all calls meet is not", { told: 1 }, undefined],
] as const)("a denial %s", async ([_what, details, kept]) => {
  const machines = { image: async () => Promise.reject(new DroverError("CLOUD_AUTH", "no such right", details)) };
  const { images: found } = open({ cloud: { machines } as never });
  await expect(found.lookUp(found.lookupOf(pod({})))).rejects.toThrow("no such right");
  expect(found.answer(found.lookupOf(pod({})))).toBeUndefined();
  if (kept === undefined) expect(found.imageOf(pod({}))).toBeUndefined();
  else expect(() => found.imageOf(pod({}))).toThrow(kept);
});
