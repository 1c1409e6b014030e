import type { Random } from "../../src/base/random.ts";
import { openPlaces } from "../../src/clouds/sim/balancers.ts";
import type { SimMachine, World } from "../../src/clouds/sim/world.ts";

type Open = { machine: SimMachine; target: { connections: number }; untilMs: number };

/**
 * Clients of every balancer: new connections come all the time, most are short, some last seconds. A connection is
 * lost when what answers it is gone before it has ended, unless the machine died by itself.
 */
export class Requests {
  readonly lost: string[] = [];
  sent = 0;
  #open: Open[] = [];
  readonly #world: World;
  readonly #random: Random;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  tick(): void {
    const nowMs = this.#world.clock.monotonicMs();
    this.#open = this.#open.filter((each) => {
      const { machine, target, untilMs } = each;
      const served = machine.stoppingAtMs > nowMs && machine.box.serves();
      if (!served && machine.cause === undefined) this.lost.push(`a request to ${machine.id} was cut off`);
      if (served && nowMs < untilMs) return true;
      target.connections--;
      return false;
    });
    for (const balancer of this.#world.balancers.values()) {
      const choices = openPlaces(balancer).flatMap(({ machineId, target }) => {
        const machine = this.#world.machines.get(machineId);
        return machine && nowMs >= target.healthyAtMs ? [{ machine, target }] : [];
      });
      const chosen = choices[Math.floor(this.#random.next() * choices.length)];
      if (!chosen) continue;
      this.sent++;
      if (!this.#isServing(chosen.machine)) {
        if (chosen.machine.cause === undefined)
          this.lost.push(`a new request met ${chosen.machine.id}, which serves no more`);
        continue;
      }
      chosen.target.connections++;
      this.#open.push({ ...chosen, untilMs: nowMs + (this.#random.next() < 0.1 ? 8_000 : 150) });
    }
  }

  #isServing = (machine: SimMachine): boolean =>
    machine.stoppingAtMs > this.#world.clock.monotonicMs() && machine.box.serves();
}
