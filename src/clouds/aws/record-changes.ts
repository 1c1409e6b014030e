import { isIPv4 } from "node:net";
import type { Change, ResourceRecordSet } from "@aws-sdk/client-route-53";
import { DroverError } from "../../base/errors.ts";
import type { NameRecord } from "../cloud.ts";

/** A zone's record sets by their names, without the dot at the end. */
export type ZoneRecords = ReadonlyMap<string, readonly ResourceRecordSet[]>;
/** All changes of one name: carried out together or not at all. */
export type NameChange = { name: string; changes: readonly Change[] };

/** Of one request; an UPSERT counts twice. */
const elementsMax = 1_000;
const charactersMax = 32_000;
/** Of one record set. */
const valuesMax = 400;
const namePattern = /^(?=.{1,254}$)(?:[a-z0-9_*-]{1,63}(?:\.|$))+$/i;

/** AWS writes what is no letter, digit or dash in octal. */
export const plainName = (name: string): string =>
  name
    .replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    .replace(/\.$/, "")
    .toLowerCase();

/**
 * Whether a record set is one that drover may have made: an A or CNAME below `svc.DOMAIN` (which Kubernetes keeps for
 * Services) without an alias or a routing policy. Nothing else of a zone is listed, changed or removed.
 */
export const isOwn = ({ Name = "", Type, AliasTarget, SetIdentifier }: ResourceRecordSet, domain: string): boolean =>
  (Type === "A" || Type === "CNAME") &&
  AliasTarget === undefined &&
  SetIdentifier === undefined &&
  `.${plainName(Name)}`.endsWith(`.svc.${domain}`);

/** @throws CLOUD_INVALID with the record's name */
export function checkRecord({ name, type, values, ttlSeconds }: NameRecord, domain: string): void {
  const refuse = (why: string): never => {
    throw new DroverError("CLOUD_INVALID", `The name ${name} can't be made: ${why}.`, { name });
  };
  if (!namePattern.test(name)) refuse("it is no DNS name");
  if (!`.${plainName(name)}`.endsWith(`.svc.${domain}`)) refuse(`it is not below svc.${domain}`);
  const good =
    type === "A"
      ? values.every((value) => isIPv4(value))
      : values.length <= 1 && values.every((value) => namePattern.test(value));
  if (!good) refuse(`${values.join(", ")} is no ${type} record`);
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 0 || ttlSeconds >= 2 ** 31)
    refuse(`${ttlSeconds} is no time to live`);
}

export const recordOf = ({ Name = "", Type, ResourceRecords = [], TTL = 0 }: ResourceRecordSet): NameRecord => ({
  name: plainName(Name),
  type: Type === "CNAME" ? "CNAME" : "A",
  values: ResourceRecords.map(({ Value = "" }) => (Type === "CNAME" ? plainName(Value) : Value)),
  ttlSeconds: TTL,
});

const setOf = ({ name, type, values, ttlSeconds }: NameRecord): ResourceRecordSet => ({
  Name: `${plainName(name)}.`,
  Type: type,
  TTL: ttlSeconds,
  ResourceRecords: values
    .slice(0, valuesMax)
    .map((Value) => ({ Value: type === "CNAME" ? `${plainName(Value)}.` : Value })),
});

const textOf = (set: ResourceRecordSet): string => {
  const { type, values, ttlSeconds } = recordOf(set);
  return JSON.stringify([type, [...values].sort(), ttlSeconds]);
};

/**
 * From what there is to what is wanted. A name has an A or a CNAME, never both: the one goes in the same request in
 * which the other comes. A record without values removes both. What is right already is left out.
 * @throws CLOUD_INVALID: somebody else's alias or policy has the name
 */
export function planChange(record: NameRecord, zone: ZoneRecords, domain: string): NameChange | undefined {
  const name = plainName(record.name);
  const present = zone.get(name) ?? [];
  const own = present.filter((set) => isOwn(set, domain));
  const wanted = record.values.length > 0 ? setOf(record) : undefined;
  const strange = present.find((set) => (set.Type === "A" || set.Type === "CNAME") && !own.includes(set));
  if (wanted && strange) {
    throw new DroverError(
      "CLOUD_INVALID",
      `The name ${name} has an alias or a routing policy that drover did not make.`,
      { name },
    );
  }
  const gone = own.filter(({ Type }) => Type !== wanted?.Type);
  const changes: Change[] = gone.map((set) => ({ Action: "DELETE", ResourceRecordSet: set }));
  const isRight = wanted !== undefined && own.some((set) => textOf(set) === textOf(wanted));
  if (wanted && !isRight) changes.push({ Action: "UPSERT", ResourceRecordSet: wanted });
  return changes.length > 0 ? { name, changes } : undefined;
}

/** Requests as large as AWS takes them; the changes of one name stay together. */
export function requestsOf(changes: readonly NameChange[]): NameChange[][] {
  const requests: NameChange[][] = [];
  let [elements, characters] = [Number.POSITIVE_INFINITY, 0];
  for (const change of changes) {
    const cost = costOf(change);
    if (elements + cost.elements > elementsMax || characters + cost.characters > charactersMax) {
      requests.push([]);
      [elements, characters] = [0, 0];
    }
    requests.at(-1)?.push(change);
    elements += cost.elements;
    characters += cost.characters;
  }
  return requests;
}

function costOf({ changes }: NameChange): { elements: number; characters: number } {
  const cost = { elements: 0, characters: 0 };
  for (const { Action, ResourceRecordSet } of changes) {
    const times = Action === "UPSERT" ? 2 : 1;
    for (const { Value = "" } of ResourceRecordSet?.ResourceRecords ?? []) {
      cost.elements += times;
      cost.characters += times * Value.length;
    }
  }
  return cost;
}

/** What the zone holds after a request was carried out. */
export function applied(zone: ZoneRecords, changes: readonly NameChange[]): ZoneRecords {
  const next = new Map(zone);
  for (const { name, changes: own } of changes) {
    for (const { Action, ResourceRecordSet: set } of own) {
      if (set === undefined) continue;
      const others = (next.get(name) ?? []).filter(({ Type }) => Type !== set.Type);
      next.set(name, Action === "DELETE" ? others : [...others, set]);
    }
  }
  return next;
}
