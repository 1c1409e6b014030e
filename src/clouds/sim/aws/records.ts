import type {
  Change,
  ChangeResourceRecordSetsRequest,
  ChangeResourceRecordSetsResponse,
  GetChangeRequest,
  GetChangeResponse,
  ListResourceRecordSetsRequest,
  ListResourceRecordSetsResponse,
  ResourceRecordSet,
} from "@aws-sdk/client-route-53";
import { AwsError } from "./errors.ts";
import { dotted, type HostedZone, recordKey, shownChange, submit, zoneOf } from "./hosted-zones.ts";
import { draw } from "./latencies.ts";
import type { AwsWorld } from "./world.ts";

/** Of one request, an UPSERT counting twice; of a record; of a zone: §1 and §2 of the AWS facts. */
const elementsMax = 1_000;
const charactersMax = 32_000;
const valuesMax = 400;
const recordsMax = 10_000;
const pageMax = 300;

const invalid = (problems: readonly string[]): AwsError =>
  new AwsError("InvalidChangeBatch", `[${problems.join(", ")}]`);

const textOf = ({
  Type,
  TTL,
  ResourceRecords,
  AliasTarget,
  SetIdentifier,
  MultiValueAnswer,
  Weight,
}: ResourceRecordSet) =>
  JSON.stringify([
    Type,
    TTL,
    (ResourceRecords ?? []).map(({ Value }) => Value).sort(),
    AliasTarget,
    SetIdentifier,
    MultiValueAnswer,
    Weight,
  ]);

/** All of a batch is carried out or nothing. */
export function changeRecords(
  world: AwsWorld,
  input: ChangeResourceRecordSetsRequest,
): ChangeResourceRecordSetsResponse {
  const zone = zoneOf(world, input.HostedZoneId);
  const changes = input.ChangeBatch?.Changes ?? [];
  const nowMs = world.nowMs();
  if (nowMs < zone.busyUntilMs) {
    throw new AwsError(
      "PriorRequestNotComplete",
      "The request was rejected because Route 53 was still processing a prior request.",
    );
  }
  checkSize(changes);
  const next = new Map(zone.records);
  const problems = changes.flatMap((change) => apply(zone, next, change) ?? []);
  problems.push(...conflicts(zone, next));
  if (problems.length > 0) throw invalid(problems);
  if (next.size > recordsMax)
    throw new AwsError("LimitsExceeded", `The maximum of ${recordsMax} records in this hosted zone is reached.`);
  zone.records = next;
  zone.busyUntilMs = nowMs + draw(world.random, world.latencies.changeTaken);
  return { ChangeInfo: submit(world) };
}

function checkSize(changes: readonly Change[]): void {
  if (changes.length === 0) throw invalid(["A change batch needs at least one change"]);
  let [elements, characters] = [0, 0];
  for (const { Action, ResourceRecordSet: set } of changes) {
    const times = Action === "UPSERT" ? 2 : 1;
    for (const { Value = "" } of set?.ResourceRecords ?? []) {
      elements += times;
      characters += times * Value.length;
    }
  }
  if (elements > elementsMax) throw invalid([`Number of records limit of ${elementsMax} exceeded.`]);
  if (characters > charactersMax)
    throw invalid([`Number of characters in record data limit of ${charactersMax} exceeded.`]);
}

/** Changes `records`; what is wrong is the answer. */
function apply(
  { name: zoneName }: HostedZone,
  records: Map<string, ResourceRecordSet>,
  { Action: action, ResourceRecordSet: set }: Change,
): string | undefined {
  if (set === undefined) return "A change needs a resource record set";
  const name = dotted(set.Name ?? "");
  const what = `resource record set [name='${name}', type='${set.Type}']`;
  if (name !== zoneName && !name.endsWith(`.${zoneName}`))
    return `RRSet with DNS name ${name} is not permitted in zone ${zoneName}`;
  if ((set.ResourceRecords?.length ?? 0) > valuesMax) return `Too many resource records in ${what}`;
  if (set.AliasTarget === undefined && ((set.ResourceRecords?.length ?? 0) === 0 || set.TTL === undefined))
    return `Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords]] in ${what}`;
  const key = recordKey(set);
  const present = records.get(key);
  if (action === "CREATE" && present) return `Tried to create ${what} but it already exists`;
  if (action === "DELETE" && !present) return `Tried to delete ${what} but it was not found`;
  if (action === "DELETE" && present && textOf(present) !== textOf(set))
    return `Tried to delete ${what} but the values provided do not match the current values`;
  if (action === "DELETE") records.delete(key);
  else records.set(key, structuredClone({ ...set, Name: name }));
  return undefined;
}

/** A name with a CNAME has nothing else. */
function conflicts({ name: zoneName }: HostedZone, records: ReadonlyMap<string, ResourceRecordSet>): string[] {
  const names = new Map<string, number>();
  for (const { Name = "" } of records.values()) names.set(Name, (names.get(Name) ?? 0) + 1);
  return [...records.values()]
    .filter(({ Name = "", Type }) => Type === "CNAME" && (names.get(Name) ?? 0) > 1)
    .map(
      ({ Name }) =>
        `RRSet of type CNAME with DNS name ${Name} is not permitted as it conflicts with other records with the same DNS name in zone ${zoneName}`,
    );
}

export function getChange(world: AwsWorld, { Id = "" }: GetChangeRequest, atMs: number): GetChangeResponse {
  const change = world.zoneChanges.get(Id.replace(/^\/change\//, ""));
  if (change === undefined) throw new AwsError("NoSuchChange", `A change with the ID '${Id}' does not exist.`);
  return { ChangeInfo: shownChange(change, atMs) };
}

/** Names are sorted from their last label to their first, then by type. */
const orderOf = ({ Name = "", Type = "A", SetIdentifier = "" }: Partial<ResourceRecordSet>): string =>
  `${dotted(Name).split(".").reverse().join("\u0001")}\u0000${Type}\u0000${SetIdentifier}`;

/** Anything but letters, digits, `-`, `_` and dots is written in octal. */
const octal = (name: string): string =>
  name.replace(/[^a-z0-9\-_.]/g, (each) => `\\${each.charCodeAt(0).toString(8).padStart(3, "0")}`);

export function listRecords(world: AwsWorld, input: ListResourceRecordSetsRequest): ListResourceRecordSetsResponse {
  const size = Math.min(pageMax, input.MaxItems ?? pageMax);
  const sets = [...zoneOf(world, input.HostedZoneId).records.values()].sort((a, b) =>
    orderOf(a) < orderOf(b) ? -1 : 1,
  );
  const plain = (name: string) =>
    name.replace(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
  const start =
    input.StartRecordName === undefined
      ? ""
      : orderOf({
          Name: plain(input.StartRecordName),
          Type: input.StartRecordType,
          SetIdentifier: input.StartRecordIdentifier,
        });
  const rest = sets.filter((set) => orderOf(set) >= start);
  const page = rest.slice(0, size).map((set) => ({ ...structuredClone(set), Name: octal(set.Name ?? "") }));
  const next = rest[size];
  return {
    ResourceRecordSets: page,
    IsTruncated: next !== undefined,
    MaxItems: size,
    ...(next !== undefined && {
      NextRecordName: octal(next.Name ?? ""),
      NextRecordType: next.Type,
      NextRecordIdentifier: next.SetIdentifier,
    }),
  };
}
