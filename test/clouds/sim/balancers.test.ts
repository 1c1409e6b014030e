import { seededRandom } from "../../../src/base/random.ts";
import { VirtualClock } from "../../../src/base/virtual.ts";
import type { Binding } from "../../../src/clouds/box.ts";
import { openSimCloud } from "../../../src/clouds/sim/open.ts";
import { type BalancersBench, balancersContract } from "../../contract/balancers.ts";
import { container } from "../../machines/agent-kit.ts";

const bindingOf = (uid: string): Binding => ({
  version: 1,
  uid,
  namespace: "default",
  name: uid,
  hostname: uid,
  nameservers: [],
  searchDomains: [],
  hostAliases: [],
  restartPolicy: "Always",
  graceSeconds: 30,
  activeDeadlineSeconds: 0,
  volumes: [],
  initContainers: [],
  containers: [container("web", undefined, { image: "web:1" })],
});

async function open(): Promise<BalancersBench> {
  const clock = new VirtualClock();
  const { cloud, world } = openSimCloud({ clock, random: seededRandom(1) });
  let count = 0;

  /** Lets time pass while a call is under way. */
  async function soon<T>(call: Promise<T>): Promise<T> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    call.then(over, over);
    for (await clock.advance(0); !isOver; ) await clock.advance(50);
    return call;
  }

  async function machine() {
    const slot = `pod-${++count}`;
    const [made] = world.launch({
      id: `l-${count}`,
      cluster: "test",
      template: {
        hash: "0123456789abcdef",
        image: "debian-12",
        userData: "",
        architecture: "amd64",
        cpuMillis: 500,
        memoryBytes: 2 ** 29,
        diskBytes: 2 ** 33,
        prefetch: [],
      },
      placement: { type: "sim.small", zone: "sim-a", capacityType: "on-demand" },
      slots: [slot],
      owner: { namespace: "default", kind: "ReplicaSet", name: "web" },
      names: [slot],
    });
    if (!made) throw new Error("the simulated provider gives a machine");
    return { made, place: { machineId: made.id, address: made.address, port: 80 } };
  }

  const until: BalancersBench["until"] = async (what, check) => {
    for (let seconds = 0; seconds < 900; seconds++) {
      if (await check()) return;
      await clock.advance(1_000);
    }
    throw new Error(`not within 900 s: ${what}`);
  };

  return {
    balancers: {
      ensure: (spec, signal) => soon(cloud.balancers.ensure(spec, signal)),
      observe: (signal) => soon(cloud.balancers.observe(signal)),
      remove: (id, signal) => soon(cloud.balancers.remove(id, signal)),
    },
    async serving() {
      const { made, place } = await machine();
      made.box.bind(bindingOf(made.id));
      await until("it serves", async () => made.box.serves());
      return place;
    },
    silent: async () => (await machine()).place,
    fall: (machineId) => soon(world.machines.get(machineId)?.box.stop(1) ?? Promise.resolve()),
    async connect({ id }) {
      const [target] = world.balancers.get(id)?.targets.values() ?? [];
      if (!target) throw new Error("there is nothing to connect to");
      target.connections++;
      return async () => void target.connections--;
    },
    until,
    close: () => cloud.close(),
  };
}

balancersContract(open);
