import type { KubeObject, ObjectKey } from "../../../src/api/object.ts";
import type { Client } from "../../../src/registry/client.ts";
import type { View } from "../../../src/registry/view.ts";

/** An object as it stood when a call about it was last answered. `gone`: that it is no more is what was answered. */
type Known = { key: ObjectKey; revision: number; uid: string; deleting: boolean; gone: boolean };

const idOf = ({ resource, namespace, name }: ObjectKey): string => `${resource} ${namespace}/${name}`;
const revisionOf = ({ metadata }: KubeObject): number => Number(metadata.resourceVersion);

/** Keeps what clients were answered, to ask the next drover process for it: everything acknowledged survives a crash. */
export class Survival {
  readonly #known = new Map<string, Known>();
  /** How many calls about an object that can end it have no answer yet: they may have taken effect. */
  readonly #asked = new Map<string, number>();
  /** The newest that anybody was told of. */
  #revision = 0;

  /** `client` with its answers kept. */
  recorded(client: Client): Client {
    const { view } = client;
    return {
      ...client,
      create: async (resource, object, options) => {
        const made: KubeObject = await client.create(resource, object, options);
        const { name, namespace = "" } = made.metadata;
        this.#answered(view, { resource, namespace, name }, made);
        return made as typeof object; // The client's own answer.
      },
      update: async (key, change, options) => {
        const answer = await this.#asking(key, client.update(key, change, options));
        this.#answered(view, key, answer);
        return answer;
      },
      delete: async (key, options) => {
        await this.#asking(key, client.delete(key, options));
        this.#answered(view, key);
      },
    };
  }

  async #asking<T>(key: ObjectKey, call: Promise<T>): Promise<T> {
    const id = idOf(key);
    this.#asked.set(id, (this.#asked.get(id) ?? 0) + 1);
    try {
      return await call;
    } finally {
      this.#asked.set(id, (this.#asked.get(id) ?? 0) - 1);
    }
  }

  /** An answer comes when what it says can be read, so what can be read then is what was acknowledged. */
  #answered(view: View, key: ObjectKey, answer?: KubeObject): void {
    const id = idOf(key);
    const seen: KubeObject | undefined = view.get(key.resource, key.namespace, key.name);
    const last = seen ?? answer;
    const before = this.#known.get(id);
    const revision = Math.max(before?.revision ?? 0, ...[answer, seen].map((each) => (each ? revisionOf(each) : 0)));
    const uid = last?.metadata.uid ?? before?.uid ?? "";
    const deleting = last?.metadata.deletionTimestamp !== undefined;
    this.#known.set(id, { key, revision, uid, deleting, gone: seen === undefined });
    this.#revision = Math.max(this.#revision, revision);
  }

  /** What a process that was just started does not have as it was acknowledged. `revision`: that of its store. */
  problems(view: View, revision: number): string[] {
    const problems = [...this.#known.values()].flatMap((known) => this.#missing(known, view));
    if (revision < this.#revision) problems.push(`the store is at ${revision}, ${this.#revision} was acknowledged`);
    this.#asked.clear(); // Nobody answers those any more; what they did stands for itself from now on.
    return problems;
  }

  #missing({ key, revision, uid, deleting, gone }: Known, view: View): string[] {
    const id = idOf(key);
    const now: KubeObject | undefined = view.get(key.resource, key.namespace, key.name);
    const lives = now !== undefined && now.metadata.uid === uid;
    if (gone) return lives ? [`${id} was acknowledged as deleted and is back`] : [];
    if (now === undefined) {
      if (!this.#asked.get(id)) return [`${id}, acknowledged at revision ${revision}, is not there`];
      this.#known.delete(id);
      return [];
    }
    if (revisionOf(now) < revision) return [`${id} is at ${revisionOf(now)}, ${revision} was acknowledged`];
    const revived = deleting && lives && now.metadata.deletionTimestamp === undefined;
    return revived ? [`${id} was acknowledged as going and stays`] : [];
  }
}
