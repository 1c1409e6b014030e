import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssh2 from "ssh2";
import { beforeAll, expect, type TestContext, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import type { Launch, Machine, Machines } from "../../../src/clouds/cloud.ts";
import { clusterFolder } from "../../../src/clouds/local/detached.ts";
import { endHolder, type Holder, openHolder } from "../../../src/clouds/local/holder-client.ts";
import { makeHostKey } from "../../../src/clouds/local/host-key.ts";
import { buildGuestImage, type GuestImage } from "../../../src/clouds/local/image.ts";
import { openMachines } from "../../../src/clouds/local/machines.ts";
import { openSavedMachines } from "../../../src/clouds/local/saved-machines.ts";
import { build, capture, eventually } from "./holder-home.ts";

const bootMs = 900_000;
const MiB = 2 ** 20;
const userKey = makeHostKey("operator");
let image: GuestImage;

beforeAll(async () => {
  build();
  image = await buildGuestImage();
}, bootMs);

/** A cluster of this test alone, its saved machines included. Always emulated, as it is where KVM doesn't work. */
async function makeCluster(cold: boolean, { onTestFinished }: TestContext) {
  const home = mkdtempSync(join(tmpdir(), "dg-"));
  const log = capture();
  const clock = systemClock;
  onTestFinished(async () => {
    await endHolder(home, "test");
    rmSync(home, { recursive: true, force: true });
  });
  const holder = await openHolder({ home, cluster: "test", clock, log });
  const around = { holder, image, clock, log, registryMirror: "10.90.0.1:5000", digestOf: () => undefined };
  mkdirSync(join(home, "saved"));
  const saved = openSavedMachines(around, join(home, "saved"));
  const folder = clusterFolder(home, "test");
  const open = () => openMachines({ folder, holder, image, saved, cold, clock, log, accelerator: "tcg" });
  return { holder, machines: await open(), open, log };
}

const launch = (id: string, count: number): Launch => ({
  id,
  cluster: "test",
  template: {
    ...{ hash: "0123456789abcdef", image: "debian-12", architecture: "amd64", prefetch: [] },
    ...{ cpuMillis: 500, memoryBytes: 384 * MiB, diskBytes: 2048 * MiB },
    userData: `#cloud-config\nusers: [{name: root, lock_passwd: false, ssh_authorized_keys: ["${userKey.publicKey}"]}]\n`,
  },
  placement: { type: "local", zone: "local", capacityType: "on-demand" },
  slots: Array.from({ length: count }, (_, slot) => `uid-${slot}`),
  owner: { namespace: "default", kind: "ReplicaSet", name: "web" },
  names: Array.from({ length: count }, (_, slot) => `web-${slot}`),
});

/** The host key that a machine has shown on its console, once it has. */
const shownKey = async (machines: Machines, id: string): Promise<string | undefined> =>
  /BEGIN SSH HOST KEY KEYS-----\s+ssh-ed25519 (\S+)[\s\S]*END SSH HOST KEY KEYS/.exec(await machines.console(id))?.[1];

/** Runs a command over SSH; only the key from the console is believed. */
async function runIn(holder: Holder, machine: Machine, key: string, command: string): Promise<string> {
  const sock = await holder.dial(machine.address ?? "", 22);
  const client = new ssh2.Client();
  try {
    return await new Promise<string>((resolve, reject) => {
      client.on("error", reject).on("ready", () =>
        client.exec(command, (error, channel) => {
          if (error !== undefined) return reject(error);
          let text = "";
          channel.on("data", (chunk: Buffer) => {
            text += chunk;
          });
          channel.on("close", () => resolve(text.trim()));
        }),
      );
      const hostVerifier = (shown: Buffer) => shown.toString("base64") === key;
      client.connect({ sock, username: "root", privateKey: userKey.privateKey, hostVerifier, readyTimeout: 60_000 });
    });
  } finally {
    client.end();
  }
}

const stateOf = async (machines: Machines, id: string) =>
  (await machines.observe()).machines.find((machine) => machine.id === id);

// Each has a cluster of its own: one boots while the other does.
test.concurrent("clones of one saved machine are themselves: name, keys, address, clock, random numbers", {
  timeout: bootMs,
}, async (context) => {
  const { machines, holder, open } = await makeCluster(false, context);
  const launched = await machines.launch(launch("a", 2));
  const seen = await Promise.all(
    launched.map(async (machine) => {
      await eventually(async () => (await stateOf(machines, machine.id))?.state === "running", bootMs);
      const key = await eventually(() => shownKey(machines, machine.id), 60_000);
      const command = "hostname; cat /etc/machine-id; od -An -N8 -tx8 /dev/urandom; date +%s; ip -4 -o addr show eth0";
      const lines = (await runIn(holder, machine, key, command)).split("\n");
      const [hostname, machineId, random, seconds = "", address] = lines;
      expect(hostname).toBe(machine.id);
      expect(address).toContain(`${machine.address}/16`);
      expect(Math.abs(Number(seconds) - systemClock.wallMs() / 1000)).toBeLessThan(10);
      return { key, machineId, random };
    }),
  );
  for (const field of ["key", "machineId", "random"] as const) {
    expect(new Set(seen.map((one) => one[field])).size).toBe(2);
  }
  await machines.close();

  const again = await open();
  const [killed, terminated] = launched.map(({ id }) => id);
  await holder.kill(`machine:${killed}`, "SIGKILL");
  await again.terminate([terminated ?? ""]);
  const states = () => again.observe().then(({ machines: all }) => all.map(({ state, cause }) => [state, cause]));
  await eventually(async () => (await states()).every(([state]) => state === "gone"), 60_000);
  expect(await states()).toEqual([
    ["gone", "the machine's process was killed by signal 9"],
    ["gone", undefined],
  ]);
  expect((await holder.processes()).filter(({ running }) => running)).toEqual([]);
  await again.close();
});

test.concurrent("a machine that boots by itself makes its own keys, and powered off it is gone", {
  timeout: bootMs,
}, async (context) => {
  const { machines, holder } = await makeCluster(true, context);
  const [machine] = await machines.launch(launch("a", 1));
  if (machine === undefined) throw new Error("no machine was launched");
  const key = await eventually(() => shownKey(machines, machine.id), bootMs);
  expect(await runIn(holder, machine, key, "hostname; systemctl --failed --no-legend")).toBe(machine.id);
  await runIn(holder, machine, key, "systemctl poweroff");
  await eventually(async () => (await stateOf(machines, machine.id))?.state === "gone", 60_000);
  expect((await stateOf(machines, machine.id))?.cause).toBe("the machine powered itself off");
  await machines.close();
});
