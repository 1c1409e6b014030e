import type { Pod, PodSpec, ReplicaSet } from "../api/types.gen.ts";
import type { Clock } from "../base/clock.ts";
import { DroverError, isTold } from "../base/errors.ts";
import type { Architecture, Cloud, MachineImage } from "../clouds/cloud.ts";
import type { ImagePlatforms } from "../machines/image-platforms.ts";
import { architecturesOf, imageReference, pulledImages } from "../machines/template.ts";
import type { View } from "../registry/view.ts";
import { nodeChoice } from "./node-choice.ts";
import { controllerOf } from "./owned.ts";

/** On a ReplicaSet: the machine image of this revision, so that every machine of it is made of the same one. */
export const machineImageAnnotation = "drover.dev/machine-image";

/** What is asked of the cloud: `debian-12` for `amd64`. The answer's architecture is the machines'. */
export type ImageLookup = {
  reference: string;
  /** What the Pod leaves open, the best first. */
  architectures: readonly Architecture[];
  /** Container images, which are made for some architectures alone. */
  images: readonly string[];
  /** What else the Pod wants of its machine, when that may leave one architecture alone: the name of a type does. */
  wants?: Pick<PodSpec, "nodeSelector" | "affinity" | "tolerations">;
};
export type ImageAnswer = { image: MachineImage } | { error: DroverError };

/** Machine images, looked up once for a revision; a new revision asks anew. */
export type MachineImages = {
  lookupOf(pod: Pick<Pod, "metadata" | "spec">): ImageLookup;
  /** Undefined: not looked up yet, or too long ago. */
  answer(lookup: ImageLookup): ImageAnswer | undefined;
  /**
   * Of the Pod's revision, or else as last looked up; undefined: to be looked up, once more where there was none a while
   * ago. @throws DroverError why there is none
   */
  imageOf(pod: Pod): MachineImage | undefined;
  /** @throws CLOUD_UNAVAILABLE, CLOUD_AUTH, CLOUD_THROTTLED; any other failure is the answer */
  lookUp(lookup: ImageLookup, signal?: AbortSignal): Promise<void>;
};

export type MachineImagesOptions = {
  view: View;
  cloud: Cloud;
  clock: Clock;
  /** What machines are made of where the Pod says nothing. Default: `debian-12`. */
  imageReference?: string;
  /** Default: amd64. */
  architecture?: Architecture;
  /** Default: `oci`. */
  engine?: string;
  /** Absent: container images are taken to be made for every architecture. */
  platformsOf?: ImagePlatforms;
};

/** Revisions that come within this time share an answer; that there is no image is believed for so long. */
const believedMs = 60_000;
const answers = new Set(["CLOUD_INVALID", "CLOUD_QUOTA", "CLOUD_CAPACITY"]);

/** One lookup is denied, not all calls: Pods of other images are not to wait for it. */
const isDenied = (error: DroverError): boolean => error.code === "CLOUD_AUTH" && !isTold(error);

export const notedImage = ({ metadata }: Pick<ReplicaSet, "metadata">): MachineImage | undefined => {
  const text = metadata.annotations?.[machineImageAnnotation];
  if (text === undefined) return undefined;
  const [id = "", family = "", architecture = "", diskBytesMin = ""] = text.split(" ");
  return { id, family, architecture, diskBytesMin: Number(diskBytesMin) } as MachineImage; // As it was noted.
};

export const noteOf = ({ id, family, architecture, diskBytesMin }: MachineImage): string =>
  [id, family, architecture, diskBytesMin].join(" ");

/** It has to be looked up first. */
export function isUnknown(pod: Pod, images: Pick<MachineImages, "imageOf">): boolean {
  try {
    return images.imageOf(pod) === undefined;
  } catch {
    return false; // It is known that there is none.
  }
}

/** Equal lookups have equal keys. */
export const lookupKey = (lookup: ImageLookup): string => JSON.stringify(lookup);

export function openMachineImages(options: MachineImagesOptions): MachineImages {
  const { view, clock } = options;
  const known = new Map<string, { answer: ImageAnswer; atMs: number }>();
  const isFresh = (last: { atMs: number }) => clock.monotonicMs() - last.atMs < believedMs;

  function lookupOf(pod: Pick<Pod, "metadata" | "spec">): ImageLookup {
    const { imageReference: otherwise = "debian-12", architecture, engine } = options;
    const architectures = architecturesOf(pod, architecture);
    const { nodeSelector, affinity, tolerations } = pod.spec;
    const wants = {
      ...(nodeSelector && { nodeSelector }),
      ...(affinity?.nodeAffinity && { affinity }),
      ...(tolerations && { tolerations }),
    };
    const isChoosy = nodeSelector !== undefined || affinity?.nodeAffinity !== undefined;
    return {
      reference: imageReference(pod as Pod) ?? otherwise, // The template of a ReplicaSet has all that is looked at.
      architectures,
      images: options.platformsOf ? pulledImages(pod, engine) : [],
      ...(isChoosy && architectures.length > 1 && { wants }),
    };
  }

  return {
    lookupOf,
    answer(lookup) {
      const last = known.get(lookupKey(lookup));
      const isAnswer = last && (!("error" in last.answer) || answers.has(last.answer.error.code));
      return isAnswer && isFresh(last) ? last.answer : undefined;
    },
    imageOf(pod) {
      const owner = controllerOf(pod.metadata);
      const set = owner && view.get("replicasets.apps", pod.metadata.namespace ?? "", owner.name);
      const noted = set && notedImage(set);
      if (noted) return noted;
      const last = known.get(lookupKey(lookupOf(pod)));
      if (!last) return undefined;
      if (!("error" in last.answer)) return last.answer.image;
      if (isFresh(last)) throw last.answer.error;
      return undefined;
    },
    async lookUp(lookup, signal) {
      const keep = (answer: ImageAnswer) => known.set(lookupKey(lookup), { answer, atMs: clock.monotonicMs() });
      try {
        keep({ image: await find(options, lookup, signal) });
      } catch (error) {
        if (!(error instanceof DroverError)) throw error;
        const isAnswer = answers.has(error.code);
        if (isAnswer || isDenied(error)) keep({ error });
        if (!isAnswer) throw error;
      }
    },
  };
}

/** The image for the best architecture that it, the container images and the offers are made for. */
async function find(options: MachineImagesOptions, lookup: ImageLookup, signal?: AbortSignal): Promise<MachineImage> {
  const { cloud, platformsOf } = options;
  const { reference, images } = lookup;
  const platforms = await Promise.all(
    images.map(async (image) => ({ image, made: await platformsOf?.(image, signal) })),
  );
  const runnable = lookup.architectures.filter((one) => platforms.every(({ made }) => made?.includes(one) ?? true));
  if (runnable.length === 0) throw noPlatform(platforms, lookup.architectures);
  let first: unknown;
  for (const one of await offered(cloud, lookup, runnable, signal)) {
    try {
      return await cloud.machines.image(reference, one, signal);
    } catch (error) {
      // A machine image by its id is made for one architecture, perhaps the other one.
      if (!(error instanceof DroverError) || error.code !== "CLOUD_INVALID") throw error;
      first ??= error;
    }
  }
  throw first;
}

/** Those that some machine has which the Pod may get; all, when none has: then the launcher says what is in the way. */
async function offered(
  cloud: Cloud,
  { wants }: ImageLookup,
  runnable: readonly Architecture[],
  signal?: AbortSignal,
): Promise<readonly Architecture[]> {
  if (!wants || runnable.length < 2) return runnable;
  const { obstacle } = nodeChoice({ spec: wants });
  const fit = (await cloud.machines.offers(signal)).filter((offer) => obstacle(offer) === undefined);
  const found = runnable.filter((one) => fit.some(({ architecture }) => architecture === one));
  return found.length > 0 ? found : runnable;
}

function noPlatform(
  platforms: readonly { image: string; made: readonly Architecture[] | undefined }[],
  allowed: readonly Architecture[],
): DroverError {
  const made = platforms.flatMap(({ image, made: one }) =>
    one ? `${image} is made for ${one.join(" and ") || "neither amd64 nor arm64"}` : [],
  );
  return new DroverError(
    "CLOUD_INVALID",
    `No machine runs the images of this Pod: ${made.join(", ")}; the Pod allows ${allowed.join(" and ")} ` +
      "(nodeSelector, node affinity on kubernetes.io/arch).",
  );
}
