import type { BalancerAddress, BalancerSpec, BalancerState, Balancers, TargetState } from "../balancer.ts";
import { type SimBalancer, type SimPlace, type SimTarget, targetKey, type World } from "./world.ts";

/** A target and what became of it. */
type Place = SimPlace & { target: SimTarget };

const placesOf = ({ spec, targets }: SimBalancer): Place[] =>
  spec.groups.flatMap(({ id: groupId, targets: listed }) =>
    listed.flatMap(({ machineId, draining }) => {
      const target = targets.get(targetKey(groupId, machineId));
      return target ? [{ groupId, machineId, draining, target }] : [];
    }),
  );

/** Targets that new connections may go to, with the share that each of their groups gets; health is not looked at. */
export function openPlaces(balancer: SimBalancer): (Place & { weight: number })[] {
  const weights = new Map<string, number>();
  for (const { forward, rules = [] } of balancer.spec.listeners) {
    for (const { groupId, weight } of [...forward, ...rules.flatMap((rule) => rule.forward)]) {
      weights.set(groupId, Math.max(weights.get(groupId) ?? 0, weight));
    }
  }
  return placesOf(balancer).flatMap((place) => {
    const weight = place.draining ? 0 : (weights.get(place.groupId) ?? 0);
    return weight > 0 ? [{ ...place, weight }] : [];
  });
}

function placeState(world: World, { machineId, draining, target }: Place): TargetState {
  const nowMs = world.clock.monotonicMs();
  const isCut = nowMs >= (target.cutAtMs ?? Number.POSITIVE_INFINITY);
  if (draining) return target.connections > 0 && !isCut ? "draining" : "drained";
  const machine = world.machines.get(machineId);
  const serving = machine !== undefined && machine.stoppingAtMs > nowMs && machine.box.serves();
  if (nowMs < target.healthyAtMs) return "initial";
  return serving ? "healthy" : "unhealthy";
}

/** From the least far. */
const order: readonly TargetState[] = ["unhealthy", "initial", "draining", "healthy", "drained"];

function stateOf(world: World, balancer: SimBalancer, addresses: readonly BalancerAddress[]): BalancerState {
  const states = new Map<string, TargetState[]>();
  for (const place of placesOf(balancer)) {
    states.set(place.machineId, [...(states.get(place.machineId) ?? []), placeState(world, place)]);
  }
  return {
    id: balancer.spec.id,
    name: balancer.spec.name,
    ready: world.clock.monotonicMs() >= balancer.readyAtMs,
    addresses,
    targets: [...states].map(([machineId, all]) => ({
      machineId,
      state: order.find((state) => all.includes(state)) ?? "initial",
    })),
  };
}

/** `published`: on which address of this computer a balancer listens; without it balancers only have names. */
export function balancersOf(world: World, published: ((id: string) => string | undefined) | undefined): Balancers {
  const { otherCall, targetHealthy } = world.latencies;
  const addressesOf = ({ id, scheme }: BalancerSpec): BalancerAddress[] => {
    if (scheme === "internal") return [];
    if (published === undefined) return [{ hostname: `${id}.sim` }];
    const ip = published(id);
    return ip === undefined ? [] : [{ ip }];
  };
  return {
    ensure: (spec, signal) =>
      world.call("ensureBalancer", otherCall, signal, () => {
        const nowMs = world.clock.monotonicMs();
        const known = world.balancers.get(spec.id);
        const registered = (): SimTarget => ({ healthyAtMs: nowMs + world.drawMs(targetHealthy), connections: 0 });
        const targets = new Map<string, SimTarget>();
        for (const { id, targets: listed, drainSeconds } of spec.groups) {
          for (const { machineId, draining } of listed) {
            const target = known?.targets.get(targetKey(id, machineId)) ?? registered();
            if (!draining) delete target.cutAtMs;
            else target.cutAtMs ??= nowMs + drainSeconds * 1_000;
            targets.set(targetKey(id, machineId), target);
          }
        }
        world.balancers.set(spec.id, { spec, readyAtMs: known?.readyAtMs ?? nowMs + world.drawMs(otherCall), targets });
        world.onChange();
      }),
    observe: (signal) =>
      world.call("observeBalancers", otherCall, signal, () => ({
        balancers: [...world.balancers.values()].map((one) => stateOf(world, one, addressesOf(one.spec))),
        complete: !world.faults.incomplete(),
      })),
    remove: (id, signal) =>
      world.call("removeBalancer", otherCall, signal, () => {
        world.balancers.delete(id);
        world.onChange();
      }),
  };
}
