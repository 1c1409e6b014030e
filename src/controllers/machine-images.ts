import type { Pod, ReplicaSet } from "../api/types.gen.ts";
import type { Clock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import type { Architecture, Cloud, MachineImage } from "../clouds/cloud.ts";
import { architectureOf, imageReference } from "../machines/template.ts";
import type { View } from "../registry/view.ts";
import { controllerOf } from "./owned.ts";

/** On a ReplicaSet: the machine image of this revision, so that every machine of it is made of the same one. */
export const machineImageAnnotation = "drover.dev/machine-image";

/** What is asked of the cloud: `debian-12` for `amd64`. */
export type ImageLookup = { reference: string; architecture: Architecture };
export type ImageAnswer = { image: MachineImage } | { error: DroverError };

/** Machine images, looked up once for a revision; a new revision asks anew. */
export type MachineImages = {
  lookupOf(pod: Pick<Pod, "metadata" | "spec">): ImageLookup;
  /** Undefined: not looked up yet, or too long ago. */
  answer(lookup: ImageLookup): ImageAnswer | undefined;
  /** Of the Pod's revision, or else as last looked up. @throws DroverError why there is none */
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
};

/** Revisions that come within this time share an answer. */
const believedMs = 60_000;
const answers = new Set(["CLOUD_INVALID", "CLOUD_QUOTA", "CLOUD_CAPACITY"]);

export const notedImage = ({ metadata }: Pick<ReplicaSet, "metadata">): MachineImage | undefined => {
  const text = metadata.annotations?.[machineImageAnnotation];
  if (text === undefined) return undefined;
  const [id = "", family = "", architecture = "", diskBytesMin = ""] = text.split(" ");
  return { id, family, architecture, diskBytesMin: Number(diskBytesMin) } as MachineImage; // As it was noted.
};

export const noteOf = ({ id, family, architecture, diskBytesMin }: MachineImage): string =>
  [id, family, architecture, diskBytesMin].join(" ");

export function openMachineImages(options: MachineImagesOptions): MachineImages {
  const { view, cloud, clock } = options;
  const known = new Map<string, { answer: ImageAnswer; atMs: number }>();
  const keyOf = ({ reference, architecture }: ImageLookup) => `${reference} ${architecture}`;

  function lookupOf(pod: Pick<Pod, "metadata" | "spec">): ImageLookup {
    const { imageReference: otherwise = "debian-12", architecture } = options;
    const asked = pod as Pod; // The template of a ReplicaSet has all that is looked at here.
    return { reference: imageReference(asked) ?? otherwise, architecture: architectureOf(asked, architecture) };
  }

  return {
    lookupOf,
    answer(lookup) {
      const last = known.get(keyOf(lookup));
      return last && clock.monotonicMs() - last.atMs < believedMs ? last.answer : undefined;
    },
    imageOf(pod) {
      const owner = controllerOf(pod.metadata);
      const set = owner && view.get("replicasets.apps", pod.metadata.namespace ?? "", owner.name);
      const noted = set && notedImage(set);
      if (noted) return noted;
      const last = known.get(keyOf(lookupOf(pod)))?.answer;
      if (last && "error" in last) throw last.error;
      return last?.image;
    },
    async lookUp(lookup, signal) {
      const { reference, architecture } = lookup;
      let answer: ImageAnswer;
      try {
        answer = { image: await cloud.machines.image(reference, architecture, signal) };
      } catch (error) {
        if (!(error instanceof DroverError && answers.has(error.code))) throw error;
        answer = { error };
      }
      known.set(keyOf(lookup), { answer, atMs: clock.monotonicMs() });
    },
  };
}
