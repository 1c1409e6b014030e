import type { KubeObject } from "../api/object.ts";
import type { Service, ServiceSpec } from "../api/types.gen.ts";
import type { Cache } from "./cache.ts";

/** Which Service has which cluster address and node port, those on their way into the store included. */
export class AddressBook {
  readonly #cache: Cache;
  /** Addresses and, as text, port numbers, with the store key of their Service. */
  readonly #owners = new Map<string, string>();

  constructor(cache: Cache) {
    this.#cache = cache;
    for (const { key, object } of cache.all("services")) {
      for (const address of addressesOf(object)) this.#owners.set(address, key);
    }
    cache.onEvents((events) => {
      for (const { key, before, after } of events) {
        if (key.resource !== "services") continue;
        for (const address of before ? addressesOf(before.object) : []) this.#owners.delete(address);
        for (const address of after ? addressesOf(after.object) : []) this.#owners.set(address, after?.key ?? "");
      }
    });
  }

  /** False when another Service has it. */
  reserve(address: string, key: string): boolean {
    const owner = this.#owners.get(address);
    if (owner !== undefined && owner !== key) return false;
    this.#owners.set(address, key);
    return true;
  }

  isTaken(address: string): boolean {
    return this.#owners.has(address);
  }

  /** Frees what was reserved for `key` and has not become its own. */
  settle(addresses: readonly string[], key: string, namespace: string, name: string): void {
    const stored = this.#cache.find("services", namespace, name);
    const own = new Set(stored ? addressesOf(stored.object) : []);
    for (const address of addresses) {
      if (this.#owners.get(address) === key && !own.has(address)) this.#owners.delete(address);
    }
  }
}

function addressesOf(service: KubeObject): string[] {
  const spec: ServiceSpec = (service as Service).spec ?? {}; // Of the resource `services`.
  const addresses = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  const ports = [...(spec.ports ?? []).map(({ nodePort }) => nodePort), spec.healthCheckNodePort];
  return [
    ...addresses.filter((address) => address !== "None"),
    ...ports.flatMap((port) => (port ? [String(port)] : [])),
  ];
}
