import { afterEach, beforeEach, expect, test } from "vitest";
import type {
  BalancerSpec,
  BalancerState,
  Balancers,
  Forward,
  Target,
  TargetState,
} from "../../src/clouds/balancer.ts";

/** Where a contract is tried: a provider's balancers and machines to put behind them. */
export type BalancersBench = {
  balancers: Balancers;
  /** A machine that accepts connections on `port`; each call gives another one. */
  serving(): Promise<{ machineId: string; address: string; port: number }>;
  /** A machine on which nothing listens. */
  silent(): Promise<{ machineId: string; address: string; port: number }>;
  /** Nothing on this machine accepts connections any more. */
  fall(machineId: string): Promise<void>;
  /** Opens a connection through the balancer, to whatever machine; gives the way to end it. Absent: it can't be tried. */
  connect?(state: BalancerState, port: number): Promise<() => Promise<void>>;
  /** Lets time pass until `check` says yes. @throws after the longest time that the provider may need */
  until(what: string, check: () => Promise<boolean>): Promise<void>;
  close(): Promise<void>;
};

type Place = Omit<Target, "draining">;

/** A balancer as a Service's is: every target serves every port. */
export const networkSpec = (given: {
  id: string;
  targets: readonly Target[];
  ports?: readonly number[];
  clusterAddress?: string;
  scheme?: BalancerSpec["scheme"];
  sourceRanges?: readonly string[];
}): BalancerSpec => {
  const { id, targets, ports = [80], clusterAddress, scheme = "internet-facing", sourceRanges = [] } = given;
  return {
    id,
    cluster: "test",
    kind: "network",
    name: `default/${id}`,
    scheme,
    ...(clusterAddress !== undefined && { clusterAddress }),
    listeners: ports.map((port) => ({ port, protocol: "TCP", forward: [{ groupId: `${port}-TCP`, weight: 1 }] })),
    groups: ports.map((port) => ({ id: `${port}-TCP`, protocol: "TCP", targets, drainSeconds: 30 })),
    sourceRanges,
    annotations: {},
  };
};

/** A balancer as an Ingress' is: a group for each path, and one for what no rule is for. */
export function applicationSpec(id: string, paths: Readonly<Record<string, readonly Target[]>>): BalancerSpec {
  const forwardTo = (path: string): Forward => [{ groupId: `web:${path}`, weight: 1 }];
  const { "/": rest, ...others } = paths;
  const rules = Object.keys(others).map((path) => ({
    host: "www.example.org",
    path,
    pathType: "Prefix" as const,
    forward: forwardTo(path),
  }));
  return {
    id,
    cluster: "test",
    kind: "application",
    name: `default/${id}`,
    scheme: "internet-facing",
    listeners: [{ port: 80, protocol: "HTTP", rules, forward: rest ? forwardTo("/") : [] }],
    groups: Object.entries(paths).map(([path, targets]) => ({
      id: `web:${path}`,
      protocol: "HTTP",
      targets,
      drainSeconds: 30,
    })),
    sourceRanges: [],
    annotations: {},
  };
}

const active = (place: Place): Target => ({ ...place, draining: false });
const leaving = (place: Place): Target => ({ ...place, draining: true });
const id = "svc-11111111-1111-4111-8111-111111111111";
const otherId = "svc-22222222-2222-4222-8222-222222222222";

/**
 * What every Balancers promises. `open` gives an empty provider; `carries`: it has connections, of which a fake that is
 * only asked has none.
 */
export function balancersContract(open: () => Promise<BalancersBench>, { carries = true } = {}): void {
  let bench: BalancersBench;
  let balancers: Balancers;
  beforeEach(async () => {
    bench = await open();
    balancers = bench.balancers;
  });
  afterEach(() => bench.close());

  const all = async () => {
    const { balancers: states, complete } = await balancers.observe();
    return complete ? states : undefined;
  };
  const stateOf = async (of = id) => (await all())?.find((one) => one.id === of);
  const targetStates = async (of = id) =>
    new Map((await stateOf(of))?.targets.map(({ machineId, state }) => [machineId, state]));
  const becomes = (machineId: string, state: TargetState | undefined, of = id) =>
    bench.until(`${machineId} is ${state}`, async () => (await targetStates(of)).get(machineId) === state);
  const isReady = (of = id) =>
    bench.until(`${of} is ready`, async () => {
      const state = await stateOf(of);
      return state?.ready === true && state.addresses.length > 0;
    });
  const serving = async (targets: readonly Target[], of = id) => {
    await balancers.ensure(networkSpec({ id: of, targets }));
    for (const { machineId } of targets) await becomes(machineId, "healthy", of);
  };

  test("there is none before one is ensured, and removing what is not there is no error", async () => {
    expect(await balancers.observe()).toEqual({ balancers: [], complete: true });
    await balancers.remove(id);
    expect(await all()).toEqual([]);
  });

  test("one that is ensured gets an address, is known by its name and calls its targets healthy", async () => {
    const one = await bench.serving();
    await serving([active(one)]);
    await isReady();
    const state = await stateOf();
    expect(state).toMatchObject({ id, name: `default/${id}`, ready: true });
    const [address] = state?.addresses ?? [];
    expect(address?.ip ?? address?.hostname).toMatch(/^[\w.-]+$/);
    expect(state?.drift).toBeUndefined();
  });

  test("one without targets is made all the same", async () => {
    await balancers.ensure(networkSpec({ id, targets: [] }));
    await isReady();
    expect((await stateOf())?.targets).toEqual([]);
  });

  test("ensured twice it is the same one, at the same address, and no target begins anew", async () => {
    const one = await bench.serving();
    await serving([active(one)]);
    await isReady();
    const before = await all();
    await balancers.ensure(networkSpec({ id, targets: [active(one)] }));
    expect(await all()).toEqual(before);
  });

  test("ensured at the same time it is made once", async () => {
    const one = await bench.serving();
    const spec = networkSpec({ id, targets: [active(one)] });
    await Promise.all([balancers.ensure(spec), balancers.ensure(spec)]);
    await becomes(one.machineId, "healthy");
    expect(await all()).toHaveLength(1);
  });

  test("a target that doesn't answer is unhealthy, and so is one that answers no more", async () => {
    const [one, silent] = [await bench.serving(), await bench.silent()];
    await balancers.ensure(networkSpec({ id, targets: [active(one), active(silent)] }));
    await becomes(one.machineId, "healthy");
    await becomes(silent.machineId, "unhealthy");
    await bench.fall(one.machineId);
    await becomes(one.machineId, "unhealthy");
  });

  test("a new target does not disturb those that are healthy", async () => {
    const [one, two] = [await bench.serving(), await bench.serving()];
    await serving([active(one)]);
    await balancers.ensure(networkSpec({ id, targets: [active(one), active(two)] }));
    expect((await targetStates()).get(one.machineId)).toBe("healthy");
    await becomes(two.machineId, "healthy");
  });

  test("a target that drains is drained in the end, may be left out then, and may come back", async () => {
    const [one, two] = [await bench.serving(), await bench.serving()];
    await serving([active(one), active(two)]);
    await balancers.ensure(networkSpec({ id, targets: [leaving(one), active(two)] }));
    await bench.until("it is drained or gone", async () => {
      const state = (await targetStates()).get(one.machineId);
      expect(state).not.toBe("healthy");
      return state === undefined || state === "drained";
    });
    expect((await targetStates()).get(two.machineId)).toBe("healthy");
    await balancers.ensure(networkSpec({ id, targets: [active(two)] }));
    await becomes(one.machineId, undefined);
    await serving([active(one), active(two)]);
  });

  test("a target whose group is not known any more drains wherever it is", async () => {
    const one = await bench.serving();
    await serving([active(one)]);
    await balancers.ensure(networkSpec({ id, targets: [leaving({ ...one, port: 0 })] }));
    await bench.until("it is drained or gone", async () =>
      [undefined, "drained"].includes((await targetStates()).get(one.machineId)),
    );
  });

  if (carries) {
    /** A place that serves, with a connection to it, and what ends that. */
    async function connected() {
      const one = await bench.serving();
      await serving([active(one)]);
      await isReady();
      const state = await stateOf();
      const end = state && (await bench.connect?.(state, 80));
      expect(end).toBeDefined();
      return { one, end };
    }

    test("a target is not drained while a connection to it is open", async () => {
      const { one, end } = await connected();
      await balancers.ensure(networkSpec({ id, targets: [leaving(one)] }));
      expect((await targetStates()).get(one.machineId)).toBe("draining");
      await end?.();
      await becomes(one.machineId, "drained");
    });

    test("what is open to a draining target is cut after its group's time", async () => {
      const { one, end } = await connected();
      const spec = networkSpec({ id, targets: [leaving(one)] });
      await balancers.ensure({ ...spec, groups: spec.groups.map((group) => ({ ...group, drainSeconds: 2 })) });
      await becomes(one.machineId, "drained");
      await end?.();
    });
  }

  test("listeners come and go while targets stay", async () => {
    const one = await bench.serving();
    await serving([active(one)]);
    const targets = [active(one)];
    await balancers.ensure(networkSpec({ id, targets, ports: [80, 81] }));
    await becomes(one.machineId, "healthy");
    await balancers.ensure(networkSpec({ id, targets, ports: [81] }));
    await becomes(one.machineId, "healthy");
    expect(await all()).toHaveLength(1);
  });

  test("a group that no listener uses any more drains", async () => {
    const one = await bench.serving();
    await serving([active(one)]);
    const { groups, ...spec } = networkSpec({ id, targets: [active(one)], ports: [81] });
    const former = networkSpec({ id, targets: [leaving(one)] }).groups;
    await balancers.ensure({ ...spec, groups: [...groups.map((group) => ({ ...group, targets: [] })), ...former] });
    await bench.until("it is drained or gone", async () =>
      [undefined, "drained"].includes((await targetStates()).get(one.machineId)),
    );
    await balancers.ensure({ ...spec, groups });
    await becomes(one.machineId, "healthy");
  });

  test("connections are split over groups by weight, which may change", async () => {
    const [one, two] = [await bench.serving(), await bench.serving()];
    const spec = (weights: readonly [number, number]): BalancerSpec => {
      const plain = networkSpec({ id, targets: [] });
      const group = (name: string, place: Place) => ({
        id: `80-TCP/${name}`,
        protocol: "TCP" as const,
        targets: [active(place)],
        drainSeconds: 30,
      });
      const forward = ["stable", "canary"].map((name, index) => ({
        groupId: `80-TCP/${name}`,
        weight: weights[index] ?? 0,
      }));
      return {
        ...plain,
        listeners: [{ port: 80, protocol: "TCP", forward }],
        groups: [group("stable", one), group("canary", two)],
      };
    };
    for (const weights of [
      [90, 10],
      [0, 100],
      [999, 1],
    ] as const) {
      await balancers.ensure(spec(weights));
      await becomes(one.machineId, "healthy");
      await becomes(two.machineId, "healthy");
    }
  });

  test("two balancers know nothing of each other", async () => {
    const [one, two] = [await bench.serving(), await bench.serving()];
    await serving([active(one)]);
    await serving([active(one), active(two)], otherId);
    await isReady();
    await isReady(otherId);
    const addresses = (await all())?.map((state) => JSON.stringify(state.addresses));
    expect(new Set(addresses).size).toBe(2);
    await balancers.remove(id);
    await balancers.remove(id);
    await bench.until("it is gone", async () => (await all())?.every((state) => state.id !== id) ?? false);
    expect([...(await targetStates(otherId)).values()]).toEqual(["healthy", "healthy"]);
    await serving([active(one)]);
  });

  test("balancers of one group keep their own listeners, and one goes without the other", async () => {
    const [one, two] = [await bench.serving(), await bench.serving()];
    const first = { ...networkSpec({ id, targets: [active(one)], ports: [80] }), group: "shared" };
    const second = { ...networkSpec({ id: otherId, targets: [active(two)], ports: [81] }), group: "shared" };
    await balancers.ensure(first);
    await balancers.ensure(second);
    await becomes(one.machineId, "healthy");
    await becomes(two.machineId, "healthy", otherId);
    expect([...(await targetStates()).keys()]).toEqual([one.machineId]);
    await balancers.remove(otherId);
    await bench.until("it is gone", async () => (await all())?.length === 1);
    expect(await targetStates()).toEqual(new Map([[one.machineId, "healthy"]]));
  });

  test("an application balancer sends requests where its rules say, and rules may change", async () => {
    const [one, two] = [await bench.serving(), await bench.serving()];
    await balancers.ensure(applicationSpec(id, { "/a": [active(one)], "/": [active(two)] }));
    for (const { machineId } of [one, two]) await becomes(machineId, "healthy");
    await isReady();
    await balancers.ensure(applicationSpec(id, { "/b": [active(one)] }));
    await becomes(one.machineId, "healthy");
    await becomes(two.machineId, undefined);
  });
}
