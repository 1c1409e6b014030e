import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { BalancerSpec } from "../../../src/clouds/balancer.ts";
import { drainingSince, isOverdue, readNote, writeNote } from "../../../src/clouds/local/balancer-note.ts";
import { assertBalancer, wantedServers } from "../../../src/clouds/local/haproxy-config.ts";
import { networkSpec } from "../../contract/balancers.ts";

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "note-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("what an earlier version noted goes on as it is", () => {
  const folder = makeFolder();
  const spec = {
    id: "svc-web",
    cluster: "test",
    name: "default/web",
    scheme: "internet-facing",
    clusterAddress: "10.96.0.10",
    listeners: [
      { port: 80, protocol: "TCP" },
      { port: 443, protocol: "TCP" },
    ],
    targets: [
      { machineId: "m1", address: "10.90.0.2", ports: [8080, 8443], draining: false },
      { machineId: "m2", address: "10.90.0.3", ports: [8080, 0], draining: true },
    ],
  };
  writeFileSync(
    join(folder, "note.json"),
    JSON.stringify({ spec, generation: 3, bound: "x", publishedAddress: "127.64.0.1" }),
  );
  const note = readNote(folder);
  expect(note).toMatchObject({ generation: 3, bound: "x", publishedAddress: "127.64.0.1" });
  assertBalancer(note?.spec as BalancerSpec);
  const servers = wantedServers(note?.spec as BalancerSpec).filter(({ backup }) => !backup);
  expect(servers.map(({ backend, name, port, draining }) => `${backend} ${name}:${port} ${draining}`)).toEqual([
    "tcp-80-TCP m1:8080 false",
    "tcp-80-TCP m2:8080 true",
    "tcp-443-TCP m1:8443 false",
  ]);
});

test("a note comes back as it was written, and without one there is none", () => {
  const folder = makeFolder();
  expect(readNote(folder)).toBeUndefined();
  const note = { spec: networkSpec({ id: "svc-web", targets: [] }), generation: 1, bound: "x" };
  writeNote(folder, note);
  expect(readNote(folder)).toEqual(note);
});

test("a target has its group's time from when it was first told to drain", () => {
  const place = (draining: boolean) => ({ machineId: "m1", address: "10.90.0.2", port: 80, draining });
  const spec = (draining: boolean) => networkSpec({ id: "svc-web", targets: [place(draining)] });
  const first = drainingSince(spec(true), undefined, 1_000);
  const again = drainingSince(spec(true), first, 9_000);
  expect(again).toEqual(first);
  expect(drainingSince(spec(false), again, 9_000)).toEqual({});
  const note = { spec: spec(true), generation: 1, bound: "", drainingSinceMs: again };
  expect([30_999, 31_000].map((nowMs) => isOverdue(note, "80-TCP", "m1", nowMs))).toEqual([false, true]);
  expect(isOverdue(note, "80-TCP", "m2", 99_000)).toBe(false);
});
