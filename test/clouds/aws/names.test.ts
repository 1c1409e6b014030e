import {
  ChangeResourceRecordSetsCommand,
  ListHostedZonesByVPCCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
} from "@aws-sdk/client-route-53";
import { describe, expect, test } from "vitest";
import type { Send } from "../../../src/clouds/aws/api.ts";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { awsError } from "../../../src/clouds/aws/errors.ts";
import { type NamesOptions, openAwsNames } from "../../../src/clouds/aws/names.ts";
import { openNetworks } from "../../../src/clouds/aws/network.ts";
import type { NameRecord } from "../../../src/clouds/cloud.ts";
import { ec2Latencies } from "../../../src/clouds/sim/aws/latencies.ts";
import type { AwsFakeOptions } from "../../../src/clouds/sim/aws/open.ts";
import { openFake } from "../sim/aws/setup.ts";
import { outcomeOf } from "./balancer-parts.ts";

const domain = "cluster.local";
const web = `web.default.svc.${domain}`;
const a = (name: string, ...values: string[]): NameRecord => ({ name, type: "A", values, ttlSeconds: 5 });
const cname = (name: string, ...values: string[]): NameRecord => ({ name, type: "CNAME", values, ttlSeconds: 30 });

function openParts({ zone = true, ...options }: Partial<AwsFakeOptions> & { zone?: boolean } = {}) {
  const fake = openFake({ hostedZones: zone ? [domain] : [], ...options });
  const requests: string[][] = [];
  const mishaps: string[] = [];
  const open = (more: Partial<NamesOptions> = {}) => {
    const { clock } = fake;
    const inner = openSend(fake.connect(), clock);
    const send: Send = async (service, command, sendOptions) => {
      if (command instanceof ChangeResourceRecordSetsCommand) {
        const code = mishaps.shift();
        if (code)
          throw awsError(Object.assign(new Error(code), { Code: code, $metadata: { httpStatusCode: 400 } }), "x");
        const changes = command.input.ChangeBatch?.Changes ?? [];
        requests.push(
          changes.map(({ Action, ResourceRecordSet: set }) =>
            [Action, set?.Name, set?.Type, ...(set?.ResourceRecords ?? []).map(({ Value }) => Value)].join(" "),
          ),
        );
      }
      return inner(service, command, sendOptions);
    };
    const networks = openNetworks(send, clock, { cluster: "test" });
    const names = openAwsNames({ send, clock, cluster: "test", domain, region: "us-east-1", networks, ...more });
    return {
      names,
      change: (...records: NameRecord[]) => fake.through(names.change(records)),
      list: () => fake.through(names.list()),
    };
  };
  const zoneId = async () => {
    const input = { VPCId: [...fake.world.vpcs.keys()][0], VPCRegion: "us-east-1" as const };
    return (await fake.route53(new ListHostedZonesByVPCCommand(input))).HostedZoneSummaries?.[0]?.HostedZoneId;
  };
  const byHand = async (ResourceRecordSet: ResourceRecordSet) => {
    const ChangeBatch = { Changes: [{ Action: "UPSERT" as const, ResourceRecordSet }] };
    await fake.route53(new ChangeResourceRecordSetsCommand({ HostedZoneId: await zoneId(), ChangeBatch }));
  };
  return { ...fake, open, requests, mishaps, zoneId, byHand };
}

describe("a change", () => {
  test("makes, replaces and removes records; what is right already is left alone", async () => {
    const { open, requests } = openParts();
    const names = open();
    await names.change(a(web, "10.0.0.2", "10.0.0.1"), cname(`api.default.svc.${domain}`, "x.elb.amazonaws.com"));
    expect(await names.list()).toEqual(
      expect.arrayContaining([
        a(web, "10.0.0.2", "10.0.0.1"),
        cname(`api.default.svc.${domain}`, "x.elb.amazonaws.com"),
      ]),
    );
    await names.change(a(web, "10.0.0.1", "10.0.0.2"));
    await names.change(cname(web, "y.elb.amazonaws.com"));
    await names.change(a(web));
    await names.change(a(web), a(`nothing.default.svc.${domain}`));
    expect(requests.slice(1)).toEqual([
      [`DELETE ${web}. A 10.0.0.2 10.0.0.1`, `UPSERT ${web}. CNAME y.elb.amazonaws.com.`],
      [`DELETE ${web}. CNAME y.elb.amazonaws.com.`],
    ]);
    expect((await names.list()).map(({ name }) => name)).toEqual([`api.default.svc.${domain}`]);
  });

  test("resolves when it is in sync, and a repeated one not before", async () => {
    const { open, clock, through } = openParts({ latencies: ec2Latencies });
    const { names, change } = open();
    await change(a(`warm.default.svc.${domain}`, "10.0.0.9"));
    const startedMs = clock.monotonicMs();
    const first = names.change([a(web, "10.0.0.1")]);
    await clock.advance(5_000);
    let isOver = false;
    const again = names.change([a(web, "10.0.0.1")]).then(() => {
      isOver = true;
    });
    await clock.advance(1_000);
    expect(isOver).toBe(false);
    await through(Promise.all([first, again]));
    expect(clock.monotonicMs() - startedMs).toBeGreaterThan(6_000);
  });

  test("goes with all others that wait, five hundred in a request", async () => {
    const { open, requests, through } = openParts();
    const { names, list } = open();
    const records = Array.from({ length: 1_200 }, (_, index) => a(`p${index}.default.svc.${domain}`, "10.0.0.1"));
    await through(Promise.all(records.map((record) => names.change([record]))));
    expect(requests.map(({ length }) => length)).toEqual([500, 500, 200]);
    expect(await list()).toHaveLength(1_200);
  });

  test("keeps to 32,000 characters a request and to 400 addresses a name", async () => {
    const { open, requests } = openParts();
    const names = open();
    const long = `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.example.org`;
    const records = Array.from({ length: 150 }, (_, index) => cname(`p${index}.default.svc.${domain}`, long));
    await names.change(...records);
    expect(requests.map(({ length }) => length)).toEqual([82, 68]);
    const many = Array.from({ length: 401 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
    await names.change(a(web, ...many));
    expect((await names.list()).find(({ name }) => name === web)?.values).toHaveLength(400);
  });

  test("waits while AWS is busy with another one", async () => {
    const { open, requests, mishaps } = openParts();
    mishaps.push("PriorRequestNotComplete", "PriorRequestNotComplete");
    await open().change(a(web, "10.0.0.1"));
    expect(requests).toHaveLength(1);
  });

  test("reads the zone again when somebody else changed it", async () => {
    const { open, byHand, zoneId, route53 } = openParts();
    const names = open();
    await names.change(a(web, "10.0.0.1"));
    await byHand({ Name: `${web}.`, Type: "A", TTL: 60, ResourceRecords: [{ Value: "10.9.9.9" }] });
    await names.change(cname(web, "y.elb.amazonaws.com"));
    expect(await names.list()).toEqual([cname(web, "y.elb.amazonaws.com")]);
    const { ResourceRecordSets = [] } = await route53(
      new ListResourceRecordSetsCommand({ HostedZoneId: await zoneId() }),
    );
    expect(ResourceRecordSets.filter(({ Name }) => Name === `${web}.`)).toHaveLength(1);
  });

  test("that AWS refuses fails alone", async () => {
    const { open, mishaps, through } = openParts();
    const { names, list } = open();
    mishaps.push(...Array.from({ length: 4 }, () => "InvalidChangeBatch"));
    const outcomes = await through(
      Promise.all(
        ["p", "q", "r", "s"].map((each) => outcomeOf(names.change([a(`${each}.default.svc.${domain}`, "10.0.0.1")]))),
      ),
    );
    expect(outcomes.map((each) => each.split(" ")[0])).toEqual(["CLOUD_INVALID", "ok", "ok", "ok"]);
    expect(await list()).toHaveLength(3);
  });

  test.for<[NameRecord, RegExp]>([
    [a("web.example.org", "10.0.0.1"), /not below svc\.cluster\.local/],
    [a(web, "10.0.0.999"), /no A record/],
    [cname(web, "x.example.org", "y.example.org"), /no CNAME record/],
    [a(`web default.svc.${domain}`, "10.0.0.1"), /no DNS name/],
  ])("%s is refused by name", async ([record, expected]) => {
    expect(await outcomeOf(openParts().open().change(record))).toMatch(expected);
  });
});

describe("the zone", () => {
  test("that is missing is an error with a way out, or made where that is wanted", async () => {
    const { open, zoneId, route53 } = openParts({ zone: false });
    expect(await outcomeOf(open().change(a(web, "10.0.0.1")))).toMatch(
      /^CLOUD_INVALID The VPC vpc-\w+ has no private hosted zone cluster.local/,
    );
    const names = open({ createZone: true });
    await names.change(a(web, "10.0.0.1"));
    expect(await open().list()).toEqual([a(web, "10.0.0.1")]);
    const { ResourceRecordSets = [] } = await route53(
      new ListResourceRecordSetsCommand({ HostedZoneId: await zoneId() }),
    );
    const soa = ResourceRecordSets.find(({ Type }) => Type === "SOA");
    expect([soa?.TTL, soa?.ResourceRecords?.[0]?.Value?.split(" ").at(-1)]).toEqual([5, "5"]);
  });

  test("of another cluster is left alone", async () => {
    const { open } = openParts({ zone: false });
    await open({ createZone: true }).change(a(web, "10.0.0.1"));
    expect(await outcomeOf(open({ cluster: "other" }).change(a(web, "10.0.0.2")))).toMatch(
      /belongs to the cluster test/,
    );
  });

  test("keeps what drover did not make", async () => {
    const { open, byHand } = openParts();
    await byHand({ Name: `mail.${domain}.`, Type: "A", TTL: 60, ResourceRecords: [{ Value: "10.9.9.9" }] });
    await byHand({ Name: `${web}.`, Type: "TXT", TTL: 60, ResourceRecords: [{ Value: '"note"' }] });
    const policy = { SetIdentifier: "one", Weight: 1 };
    const strange = `strange.default.svc.${domain}`;
    await byHand({ Name: `${strange}.`, Type: "A", TTL: 60, ResourceRecords: [{ Value: "10.9.9.9" }], ...policy });
    const names = open();
    expect(await names.list()).toEqual([]);
    await names.change(a(web, "10.0.0.1"));
    await names.change(a(web), a(strange));
    expect(await outcomeOf(names.change(a(strange, "10.0.0.1")))).toMatch(/did not make/);
    expect(await outcomeOf(names.change(a(`mail.${domain}`)))).toMatch(/not below/);
  });
});
