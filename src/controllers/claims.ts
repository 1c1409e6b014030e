import { createHash } from "node:crypto";
import type { KubeObject } from "../api/object.ts";
import type { Pod, PodSpec } from "../api/types.gen.ts";
import type { Clock } from "../base/clock.ts";
import type { Claim, Machine, MachineTemplate, Owner } from "../clouds/cloud.ts";
import type { Identify, Identity } from "../registry/client.ts";
import type { View } from "../registry/view.ts";
import type { BalancerBook } from "./balancer-book.ts";
import { type FrontendKind, frontendResource, frontendUid } from "./frontend.ts";
import { isUnknown, type MachineImages } from "./machine-images.ts";
import { controllerOf } from "./owned.ts";
import type { Poll } from "./poll.ts";
import type { Roster } from "./roster.ts";

/** The machine that a Pod was made for, because it served that Pod before the store was lost. */
const claimedAnnotation = "drover.dev/claimed-machine";
/** A machine that is promised to a Pod which then isn't stored becomes free again after this time. */
const promiseMs = 10_000;

export type ClaimsOptions = {
  view: View;
  book: Pick<BalancerBook, "states">;
  poll: Pick<Poll, "machines" | "sight">;
  roster: Pick<Roster, "podUidOf" | "podByUid">;
  images: Pick<MachineImages, "imageOf" | "lookupOf" | "lookUp">;
  /** @throws DroverError when no machine can be made for this Pod */
  templateOf: (pod: Pod) => MachineTemplate;
  clock: Clock;
};

export type Claimable = Machine & { claim: Claim };

/**
 * After the store was lost, machines go on that no record knows. A Pod of the same owner and machine template that is
 * made anew takes over one of them: it gets the name and the uid that the machine was bound to, so nothing is restarted.
 */
export type Claims = {
  /** Whose place a new object takes. */
  identify: Identify;
  /** Machines that a Pod could still take over. */
  claimable(): readonly Claimable[];
  /** The machine that this Pod was made for, while it can have it. */
  machineOf(pod: Pod): Claimable | undefined;
};

export function openClaims({ view, poll, book, roster, images, templateOf, clock }: ClaimsOptions): Claims {
  const promisedMs = new Map<string, number>();

  const isFree = (machine: Machine): machine is Claimable =>
    machine.claim !== undefined &&
    (machine.state === "pending" || machine.state === "running") &&
    roster.podUidOf(machine.id) === undefined;

  const claimable = () => poll.machines().filter(isFree);

  function isPromised({ id, claim }: Claimable): boolean {
    const sinceMs = clock.monotonicMs() - (promisedMs.get(id) ?? Number.NEGATIVE_INFINITY);
    return sinceMs < promiseMs || roster.podByUid(claim.podUid) !== undefined;
  }

  function freeFor(pod: Pod): Claimable[] {
    const owner = ownerOf(pod);
    const mayHave = claimable().filter(({ claim }) => isSameOwner(claim.owner, owner) && namesFit(claim, pod));
    return mayHave.filter((machine) => !isPromised(machine));
  }

  /** Of a bare Pod nobody has looked the machine image up, and without it its template is not known. */
  function identifyPod(pod: Pod): ReturnType<Identify> {
    if (freeFor(pod).length === 0) return undefined;
    if (!isUnknown(pod, images)) return promise(pod);
    return images.lookUp(images.lookupOf(pod)).then(
      () => promise(pod),
      () => undefined, // The launcher, which asks too, says why.
    );
  }

  function promise(pod: Pod): Identity | undefined {
    const hash = templateHash(pod, templateOf);
    const [machine] = freeFor(pod)
      .filter(({ claim }) => claim.templateHash === hash)
      .sort(byName);
    if (!machine) return undefined;
    promisedMs.set(machine.id, clock.monotonicMs());
    const { podName: name, podUid: uid } = machine.claim;
    return { name, uid, annotations: { [claimedAnnotation]: machine.id } };
  }

  /** A Service or Ingress whose balancer no record knows. */
  function identifyFrontend(kind: FrontendKind, { metadata }: KubeObject): Identity | undefined {
    const { namespace, name } = metadata;
    const lost = book
      .states()
      .filter((state) => state.name === `${namespace}/${name}`)
      .filter(({ id }) => view.get(frontendResource, "", id) === undefined);
    const uid = lost.map(({ id }) => frontendUid(kind, id)).find((each) => each !== undefined);
    return uid === undefined ? undefined : { uid, name };
  }

  return {
    identify(resource, object) {
      if (resource === "pods") return identifyPod(object as Pod); // By its resource.
      if (resource === "services") return identifyFrontend("service", object);
      return resource === "ingresses.networking.k8s.io" ? identifyFrontend("ingress", object) : undefined;
    },
    claimable,
    machineOf({ metadata }) {
      const { machine } = poll.sight(metadata.annotations?.[claimedAnnotation] ?? "");
      return machine && isFree(machine) && machine.claim.podUid === metadata.uid ? machine : undefined;
    },
  };
}

/** Whose a Pod is: its controller's, which has one template; bare Pods belong together that are specified alike. */
export function ownerOf({ metadata, spec }: Pod): Owner {
  const { namespace = "default" } = metadata;
  const controller = controllerOf(metadata);
  if (controller) return { namespace, kind: controller.kind, name: controller.name };
  return { namespace, kind: "Pod", name: createHash("sha256").update(comparable(spec)).digest("hex").slice(0, 16) };
}

/** Without what is decided anew for every Pod of the same manifest. */
const comparable = ({ nodeName: _, ...spec }: PodSpec): string =>
  JSON.stringify(spec).replaceAll(/kube-api-access-[a-z0-9]{5}/g, "kube-api-access");

const isSameOwner = (a: Owner, b: Owner): boolean =>
  a.namespace === b.namespace && a.kind === b.kind && a.name === b.name;

/** A generated name may become any of the same base; a given one stays. */
const namesFit = ({ podName }: Claim, { metadata }: Pod): boolean =>
  metadata.generateName === undefined ? podName === metadata.name : podName.startsWith(metadata.generateName);

const byName = (a: Claimable, b: Claimable): number => (a.claim.podName < b.claim.podName ? -1 : 1);

function templateHash(pod: Pod, templateOf: ClaimsOptions["templateOf"]): string | undefined {
  try {
    return templateOf(pod).hash;
  } catch {
    return undefined; // The launcher says what is wrong with it.
  }
}
