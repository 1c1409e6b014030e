import { expect, test } from "vitest";
import type { NameRecord, Names } from "../../src/clouds/cloud.ts";

/** A provider of names in a test. `reopen`: as another drover that knows only what the provider does. */
export type NamesUnderTest = { names: Names; reopen(): Promise<Names>; close?(): Promise<void> };

const web = "web.default.svc.cluster.local";
const a = (name: string, ...values: string[]): NameRecord => ({ name, type: "A", values, ttlSeconds: 5 });
const cname = (name: string, ...values: string[]): NameRecord => ({ name, type: "CNAME", values, ttlSeconds: 30 });
const sorted = (records: readonly NameRecord[]) =>
  records
    .map((record) => ({ ...record, values: [...record.values].sort() }))
    .sort((x, y) => (x.name < y.name ? -1 : 1));

/** What the port promises, on any provider. */
export function namesContract(open: () => Promise<NamesUnderTest>): void {
  test("records are made, replaced and removed, and are there for any drover", async () => {
    const { names, reopen, close } = await open();
    expect(await names.list()).toEqual([]);
    const other = cname("api.default.svc.cluster.local", "lb-1.elb.amazonaws.com");
    await names.change([a(web, "10.0.0.1", "10.0.0.2"), other]);
    expect(sorted(await (await reopen()).list())).toEqual(sorted([other, a(web, "10.0.0.1", "10.0.0.2")]));
    await names.change([a(web, "10.0.0.3")]);
    expect(sorted(await names.list())).toEqual(sorted([other, a(web, "10.0.0.3")]));
    await names.change([a(web)]);
    expect(await names.list()).toEqual([other]);
    await close?.();
  });

  test("a change may be repeated, and what is not there may be removed", async () => {
    const { names, close } = await open();
    for (let times = 0; times < 2; times++) await names.change([a(web, "10.0.0.1")]);
    await names.change([a("nobody.default.svc.cluster.local")]);
    expect(await names.list()).toEqual([a(web, "10.0.0.1")]);
    for (let times = 0; times < 2; times++) await names.change([a(web)]);
    expect(await names.list()).toEqual([]);
    await close?.();
  });

  test("a name that leads elsewhere from now on is one change, as are changes that come at once", async () => {
    const { names, close } = await open();
    await names.change([a(web, "10.0.0.1")]);
    await names.change([a(web), cname(web, "lb-1.elb.amazonaws.com")]);
    expect(await names.list()).toEqual([cname(web, "lb-1.elb.amazonaws.com")]);
    const many = Array.from({ length: 30 }, (_, index) => a(`w${index}.default.svc.cluster.local`, `10.0.1.${index}`));
    await Promise.all(many.map((record) => names.change([record])));
    expect(sorted(await names.list())).toEqual(sorted([cname(web, "lb-1.elb.amazonaws.com"), ...many]));
    await close?.();
  });
}
