import type { VirtualClock } from "../../src/base/virtual.ts";

/** The methods of a port, each with the virtual time that it takes. */
export function passing<Port extends object>(port: Port, clock: VirtualClock): Port {
  const through = async (work: Promise<unknown>): Promise<unknown> => {
    let isDone = false;
    const done = () => {
      isDone = true;
    };
    work.then(done, done);
    while (!isDone) await clock.advance(Math.max(1, (clock.nextMs() ?? 0) - clock.monotonicMs()));
    return work;
  };
  const methods = Object.entries(port).map(([name, method]) => [
    name,
    (...given: unknown[]) => through(method.apply(port, given)),
  ]);
  return Object.fromEntries(methods);
}
