import { expect, test } from "vitest";
import type { Launch, Machine, Machines } from "../../src/clouds/cloud.ts";

/** A provider of machines in a test, and a way to let time pass. */
export type MachinesUnderTest = {
  machines: Machines;
  /** A launch of machines that the provider has room for. */
  launchOf(id: string, count: number): Launch;
  /** What another drover has, that knows only what the provider does. */
  reopen(): Promise<Machines>;
  pause(): Promise<void>;
  close?(): Promise<void>;
};

const idsOf = (machines: readonly Machine[]): string[] => machines.map(({ id }) => id).sort();

/** What the port promises, on any provider. */
export function machinesContract(open: () => Promise<MachinesUnderTest>): void {
  async function opened() {
    const { launchOf, reopen, pause, close, machines } = await open();
    async function until(what: string, isSo: (seen: readonly Machine[]) => boolean): Promise<readonly Machine[]> {
      for (let look = 0; look < 300; look++) {
        const seen = await machines.observe();
        if (seen.complete && isSo(seen.machines)) return seen.machines;
        await pause();
      }
      throw new Error(`not seen: ${what}`);
    }
    const run = (ids: readonly string[]) =>
      until("they run", (seen) => ids.every((id) => seen.some((each) => each.id === id && each.state === "running")));
    return { machines, launchOf, reopen, until, run, close: async () => void (await close?.()) };
  }

  test("a launch gives a machine for each slot, and the same ones however often it is made", async () => {
    const { machines, launchOf, reopen, run, close } = await opened();
    const launch = launchOf("l-one", 3);
    const made = await machines.launch(launch);
    expect(made.map(({ slot, launchId }) => [slot, launchId])).toEqual([0, 1, 2].map((slot) => [slot, launch.id]));
    expect(new Set(idsOf(made)).size).toBe(3);
    expect(idsOf(await machines.launch(launch))).toEqual(idsOf(made));
    const seen = await run(idsOf(made));
    expect(idsOf(seen)).toEqual(idsOf(made));
    expect(idsOf(await (await reopen()).launch(launch))).toEqual(idsOf(made));
    await close();
  });

  test("what was launched is seen by any drover, with what the launch said of it", async () => {
    const { machines, launchOf, reopen, run, close } = await opened();
    const launch = launchOf("l-one", 2);
    const made = await machines.launch(launch);
    await run(idsOf(made));
    const seen = await (await reopen()).observe();
    expect(seen.complete).toBe(true);
    const { owner, names, slots, placement, template } = launch;
    for (const { slot, address, type, zone, claim, launchId } of seen.machines) {
      expect({ launchId, type, zone }).toEqual({ launchId: launch.id, type: placement.type, zone: placement.zone });
      expect(address).toMatch(/^\d+(\.\d+){3}$/);
      const podName = names[slot];
      expect(claim).toEqual({ owner, templateHash: template.hash, podName, podUid: slots[slot] });
    }
    expect(new Set(seen.machines.map(({ address }) => address)).size).toBe(2);
    await close();
  });

  test("launches know nothing of each other, and one that is ended leaves the others", async () => {
    const { machines, launchOf, until, run, close } = await opened();
    const [one, two] = [await machines.launch(launchOf("l-one", 1)), await machines.launch(launchOf("l-two", 2))];
    expect(new Set(idsOf([...one, ...two])).size).toBe(3);
    await run(idsOf([...one, ...two]));
    await machines.terminate(idsOf(one));
    const isGone = (seen: readonly Machine[]) => !seen.some(({ id, state }) => id === one[0]?.id && state !== "gone");
    const left = await until("it is gone", isGone);
    expect(left.filter(({ state }) => state === "running").map(({ launchId }) => launchId)).toEqual(["l-two", "l-two"]);
    await close();
  });

  test("to end what has ended, or was never there, harms nobody; what has ended stays so", async () => {
    const { machines, launchOf, until, run, close } = await opened();
    const launch = launchOf("l-one", 2);
    const [one, two] = await machines.launch(launch);
    if (!one || !two) throw new Error("a launch of two gives two");
    await run([one.id, two.id]);
    await machines.terminate([one.id, "i-0123456789abcdef0"]);
    await machines.terminate([one.id]);
    const isOver = (seen: readonly Machine[]) => seen.find(({ id }) => id === one.id)?.state === "gone";
    const seen = await until("it is gone", isOver);
    expect(seen.find(({ id }) => id === two.id)?.state).toBe("running");
    const again = await machines.launch(launch);
    expect(again.find(({ slot }) => slot === 0)).toMatchObject({ id: one.id, state: "gone" });
    await machines.terminate([]);
    await close();
  });

  test("a console is a text, and there is none of what was never there", async () => {
    const { machines, launchOf, run, close } = await opened();
    const [one] = await machines.launch(launchOf("l-one", 1));
    await run([one?.id ?? ""]);
    expect(typeof (await machines.console(one?.id ?? ""))).toBe("string");
    await close();
  });
}
