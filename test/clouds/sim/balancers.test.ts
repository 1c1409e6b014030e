import { get } from "node:http";
import { expect, test } from "vitest";
import { fasterClock, systemClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { VirtualClock } from "../../../src/base/virtual.ts";
import type { Rule } from "../../../src/clouds/balancer.ts";
import { matches } from "../../../src/clouds/sim/http-rules.ts";
import { openSimCloud } from "../../../src/clouds/sim/open.ts";
import { applicationSpec, type BalancersBench, balancersContract } from "../../contract/balancers.ts";
import { bindingOf, launchOf } from "./given.ts";

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
    const [made] = world.launch(launchOf(`l-${count}`, [slot]));
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

test.for([
  [{}, "any.org", "/x", true],
  [{ host: "a.org" }, "A.org:8080", "/", true],
  [{ host: "*.a.org" }, "b.a.org", "/", true],
  [{ host: "*.a.org" }, "c.b.a.org", "/", false],
  [{ host: "*.a.org" }, "a.org", "/", false],
  [{ path: "/foo", pathType: "Prefix" }, "a.org", "/foo/bar", true],
  [{ path: "/foo/", pathType: "Prefix" }, "a.org", "/foo", true],
  [{ path: "/foo", pathType: "Prefix" }, "a.org", "/foobar", false],
  [{ path: "/foo", pathType: "Exact" }, "a.org", "/foo", true],
  [{ path: "/foo", pathType: "Exact" }, "a.org", "/foo/", false],
  [{ hosts: ["*.a.org"] }, "c.b.a.org", "/", true],
  [{ hosts: ["a?.org"] }, "b.org", "/", false],
  [{ host: "b.org", hosts: ["a.org"] }, "a.org", "/", true],
  [{ patterns: ["/*.png"] }, "a.org", "/x/y.png", true],
  [{ patterns: ["/*.png"] }, "a.org", "/x/ypng", false],
  [{ path: "/foo", pathType: "Exact", patterns: ["/bar"] }, "a.org", "/bar", true],
  [{ path: "/foo", pathType: "Exact", patterns: ["/bar"] }, "a.org", "/", false],
] as const)("the rule %j is for %s%s: %s", ([rule, host, path, want]) => {
  expect(matches({ ...rule, forward: [] }, host, path)).toBe(want);
});

test("a published application balancer answers by its rules", async () => {
  const clock = fasterClock(systemClock, 200);
  const { cloud, world } = openSimCloud({ clock, random: seededRandom(3), publish: true });
  const [machine] = world.launch(launchOf("l-1", ["1"]));
  machine?.box.bind(bindingOf("1"));
  const target = { machineId: machine?.id ?? "", address: machine?.address ?? "", port: 80, draining: false };
  const spec = applicationSpec("ing-1", { "/a": [target] });
  const answers: Rule[] = [
    { path: "/no", pathType: "Prefix", forward: [], answer: { kind: "fixed", statusCode: 503, body: "no" } },
    { path: "/to", pathType: "Exact", forward: [], answer: { kind: "redirect", statusCode: 301, protocol: "HTTPS" } },
    {
      ...{ path: "/in", pathType: "Prefix", forward: [] },
      answer: { kind: "redirect", statusCode: 302, host: "x.#{host}", port: 81, path: "/new/#{path}", query: "q=1" },
    },
  ];
  const listeners = spec.listeners.map((one) => ({ ...one, port: 18_081, rules: [...(one.rules ?? []), ...answers] }));
  await cloud.balancers.ensure({ ...spec, listeners });
  const state = async () => (await cloud.balancers.observe()).balancers[0];
  await expect.poll(async () => (await state())?.targets[0]?.state, { timeout: 10_000 }).toBe("healthy");
  await expect.poll(async () => (await state())?.addresses[0]?.ip, { timeout: 10_000 }).toMatch(/^127/);
  const host = (await state())?.addresses[0]?.ip;
  const ask = (path: string) =>
    new Promise<string>((resolve, reject) => {
      get({ host, port: 18_081, path, headers: { host: "www.example.org" }, agent: false }, (response) =>
        response
          .toArray()
          .then(
            (chunks) => resolve(`${response.statusCode} ${response.headers.location ?? chunks.join("")}`.trim()),
            reject,
          ),
      ).on("error", reject);
    });
  expect(await ask("/a/x")).toBe("200 pod-1 web:1");
  expect(await ask("/b")).toBe("404");
  expect(await ask("/no/x")).toBe("503 no");
  expect(await ask("/to?k=v")).toBe("301 https://www.example.org/to?k=v");
  expect(await ask("/to")).toBe("301 https://www.example.org/to");
  expect(await ask("/in/a?k=v")).toBe("302 http://x.www.example.org:81/new/in/a?q=1");
  await cloud.balancers.remove("ing-1");
  await cloud.close();
});
