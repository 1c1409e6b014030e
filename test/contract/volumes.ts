import { expect, test } from "vitest";
import type { Volume, VolumeSpec, Volumes } from "../../src/clouds/volume.ts";

/** A provider of disks in a test: machines of the same zone that run, and a way to let time pass. */
export type VolumesUnderTest = {
  volumes: Volumes;
  zone: string;
  machineIds: readonly [string, string];
  endMachine(id: string): Promise<void>;
  pause(): Promise<void>;
};

const GiB = 2 ** 30;

/** What the port promises, on any provider. */
export function volumesContract(open: () => Promise<VolumesUnderTest>): void {
  async function opened() {
    const under = await open();
    const spec: VolumeSpec = {
      id: "pvc-11111111-2222-4333-8444-555555555555",
      cluster: "test",
      name: "default/data",
      zone: under.zone,
      sizeBytes: GiB,
      parameters: {},
    };
    async function until(what: string, isSo: (volume: Volume | undefined) => boolean): Promise<Volume | undefined> {
      for (let look = 0; look < 200; look++) {
        const { volumes, complete } = await under.volumes.observe();
        expect(complete).toBe(true);
        const volume = volumes.find(({ id }) => id === spec.id);
        if (isSo(volume)) return volume;
        await under.pause();
      }
      throw new Error(`not seen: ${what}`);
    }
    return { ...under, spec, until };
  }

  test("the same id gives the same disk, however often", async () => {
    const { volumes, spec, until } = await opened();
    const first = await volumes.ensure(spec);
    const second = await volumes.ensure(spec);
    expect([first.id, first.handle, first.name]).toEqual([spec.id, second.handle, "default/data"]);
    const seen = await until("available", (volume) => volume?.state === "available");
    expect(seen).toMatchObject({ handle: first.handle, zone: spec.zone, sizeBytes: GiB });
    expect(seen?.madeMs).toBeGreaterThan(0);
    expect((await volumes.observe()).volumes.length).toBe(1);
  });

  test("it is attached to one machine, and to another one after that", async () => {
    const { volumes, spec, until, machineIds } = await opened();
    const [one, two] = machineIds;
    await volumes.ensure(spec);
    await until("available", (volume) => volume?.state === "available");
    await volumes.attach(spec.id, one);
    const there = await until("attached", (volume) => volume?.state === "attached");
    expect(there?.machineId).toBe(one);
    expect(there?.device).toMatch(/^\/dev\//);
    await volumes.attach(spec.id, one);
    await expect(volumes.attach(spec.id, two)).rejects.toMatchObject({ code: "CLOUD_INVALID" });
    await expect(volumes.remove(spec.id)).rejects.toMatchObject({ code: "CLOUD_INVALID" });
    await volumes.detach(spec.id);
    await until("detached", (volume) => volume?.state === "available" && volume.machineId === undefined);
    await volumes.detach(spec.id);
    await volumes.attach(spec.id, two);
    await until("attached again", (volume) => volume?.state === "attached" && volume.machineId === two);
  });

  test("a machine that has ended lets go of it", async () => {
    const { volumes, spec, until, machineIds, endMachine } = await opened();
    await volumes.ensure(spec);
    await until("available", (volume) => volume?.state === "available");
    await volumes.attach(spec.id, machineIds[0]);
    await until("attached", (volume) => volume?.state === "attached");
    await endMachine(machineIds[0]);
    await until("free again", (volume) => volume?.state === "available");
  });

  test("it grows and never shrinks", async () => {
    const { volumes, spec, until } = await opened();
    await volumes.ensure(spec);
    await until("available", (volume) => volume?.state === "available");
    await volumes.ensure({ ...spec, sizeBytes: 2 * GiB });
    await until("grown", (volume) => volume?.sizeBytes === 2 * GiB);
    await volumes.ensure(spec);
    expect((await until("there", (volume) => volume !== undefined))?.sizeBytes).toBe(2 * GiB);
  });

  test("removed it is gone, and again that is a success", async () => {
    const { volumes, spec, until } = await opened();
    await volumes.ensure(spec);
    await until("available", (volume) => volume?.state === "available");
    await volumes.remove(spec.id);
    await until("gone", (volume) => volume === undefined || volume.state === "gone");
    await volumes.remove(spec.id);
    await expect(volumes.attach(spec.id, "i-none")).rejects.toMatchObject({ code: "CLOUD_INVALID" });
  });
}
