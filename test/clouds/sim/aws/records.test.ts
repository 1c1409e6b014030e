import {
  type ChangeAction,
  ChangeResourceRecordSetsCommand,
  CreateHostedZoneCommand,
  GetChangeCommand,
  ListHostedZonesByVPCCommand,
  ListResourceRecordSetsCommand,
  type ListResourceRecordSetsCommandOutput,
  type RRType,
} from "@aws-sdk/client-route-53";
import { describe, expect, test } from "vitest";
import { noLatencies } from "../../../../src/clouds/sim/aws/latencies.ts";
import { messageOf, openFake, outcome } from "./setup.ts";

const zones = { hostedZones: ["cluster.local"] };
type Fake = ReturnType<typeof openFake>;
const zoneId = (fake: Fake) => [...fake.world.hostedZones.keys()][0] ?? "";

const change = (Action: ChangeAction, Name: string, values: readonly string[], Type: RRType = "A") => ({
  Action,
  ResourceRecordSet: { Name, Type, TTL: 5, ResourceRecords: values.map((Value) => ({ Value })) },
});

const submit = (fake: Fake, ...Changes: ReturnType<typeof change>[]) =>
  fake.route53(new ChangeResourceRecordSetsCommand({ HostedZoneId: zoneId(fake), ChangeBatch: { Changes } }));

test("a change is pending, then in sync; the next one is refused while it is being taken in", async () => {
  const fake = openFake(zones);
  const fixed = (ms: number) => ({ p50Ms: ms, p99Ms: ms });
  fake.world.latencies = { ...noLatencies, changeInSync: fixed(20_000), changeTaken: fixed(1_000) };
  const { ChangeInfo } = await submit(fake, change("UPSERT", "web.default.svc.cluster.local", ["10.0.0.1"]));
  const second = submit(fake, change("UPSERT", "web.default.svc.cluster.local", ["10.0.0.2"]));
  expect(await outcome(second)).toBe("PriorRequestNotComplete");
  const status = async () => (await fake.route53(new GetChangeCommand({ Id: ChangeInfo?.Id }))).ChangeInfo?.Status;
  expect(await status()).toBe("PENDING");
  await fake.clock.advance(20_000);
  expect(await status()).toBe("INSYNC");
  expect(await outcome(submit(fake, change("UPSERT", "a.cluster.local", ["10.0.0.2"])))).toBe("ok");
});

describe("refused batches leave everything as it was", () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
  const rows: [name: string, changes: ReturnType<typeof change>[], message: RegExp][] = [
    ["another zone", [change("UPSERT", "a.example.org", ["10.0.0.1"])], /a\.example\.org\. is not permitted in zone/],
    ["create twice", [change("CREATE", "there.cluster.local", ["10.0.0.1"])], /but it already exists/],
    ["delete nothing", [change("DELETE", "none.cluster.local", ["10.0.0.1"])], /but it was not found/],
    ["delete other values", [change("DELETE", "there.cluster.local", ["10.0.0.2"])], /do not match the current values/],
    ["a CNAME beside an A", [change("CREATE", "there.cluster.local", ["b.cluster.local."], "CNAME")], /conflicts/],
    [
      "501 values upserted",
      [1, 2].map((n) => change("UPSERT", `n${n}.cluster.local`, many(n === 1 ? 400 : 101))),
      /1000/,
    ],
    ["401 values of one name", [change("CREATE", "big.cluster.local", many(401))], /Too many resource records/],
  ];
  test.for(rows)("%s", async ([, changes, message]) => {
    const fake = openFake(zones);
    await submit(fake, change("CREATE", "there.cluster.local", ["10.0.0.1"]));
    const before = [...(fake.world.hostedZones.get(zoneId(fake))?.records.keys() ?? [])];
    const good = change("CREATE", "good.cluster.local", ["10.0.0.1"]);
    expect(await messageOf(submit(fake, good, ...changes))).toMatch(message);
    expect([...(fake.world.hostedZones.get(zoneId(fake))?.records.keys() ?? [])]).toEqual(before);
  });
});

test("records are listed in the order of their reversed names, page by page", async () => {
  const fake = openFake(zones);
  const names = ["*.z.cluster.local", "a.b.cluster.local", "b.cluster.local", "c.b.cluster.local", "a.cluster.local"];
  await submit(fake, ...names.map((name) => change("CREATE", name, ["10.0.0.1"])));
  const seen: string[] = [];
  let StartRecordName: string | undefined;
  let StartRecordType: RRType | undefined;
  do {
    const input = { HostedZoneId: zoneId(fake), MaxItems: 2, StartRecordName, StartRecordType };
    const page: ListResourceRecordSetsCommandOutput = await fake.route53(new ListResourceRecordSetsCommand(input));
    seen.push(...(page.ResourceRecordSets ?? []).map(({ Name = "", Type }) => `${Type} ${Name}`));
    ({ NextRecordName: StartRecordName, NextRecordType: StartRecordType } = page);
  } while (StartRecordName !== undefined);
  expect(seen).toEqual([
    "NS cluster.local.",
    "SOA cluster.local.",
    "A a.cluster.local.",
    "A b.cluster.local.",
    "A a.b.cluster.local.",
    "A c.b.cluster.local.",
    "A \\052.z.cluster.local.",
  ]);
});

test("a network takes one zone of a name, and finds it", async () => {
  const fake = openFake();
  const VPCId = [...fake.world.vpcs.keys()][0];
  const create = (CallerReference: string, Name = "cluster.local") =>
    fake.route53(new CreateHostedZoneCommand({ Name, CallerReference, VPC: { VPCId, VPCRegion: "us-east-1" } }));
  await create("one");
  expect(await outcome(create("one", "other.local"))).toBe("HostedZoneAlreadyExists");
  expect(await outcome(create("two"))).toBe("ConflictingDomainExists");
  const { HostedZoneSummaries } = await fake.route53(
    new ListHostedZonesByVPCCommand({ VPCId, VPCRegion: "us-east-1" }),
  );
  expect(HostedZoneSummaries?.map(({ Name }) => Name)).toEqual(["cluster.local."]);
  expect(await outcome(fake.route53(new ListResourceRecordSetsCommand({ HostedZoneId: "Z0" })))).toBe(
    "NoSuchHostedZone",
  );
});
