import type { KubeObject } from "../api/object.ts";

/**
 * One version of one object. The bytes are those of the store, canonical JSON without `resourceVersion`, shared with
 * the store's history; the revision is spliced in on the way out. The parsed object is shared too: nobody may change it.
 */
export class Stored {
  /** Of the store. */
  readonly key: string;
  /** 0 for an answer to a dry run, which has no `resourceVersion`. */
  readonly revision: number;
  readonly #bytes: Uint8Array;
  #object: KubeObject | undefined;

  constructor(key: string, revision: number, bytes: Uint8Array, object?: KubeObject) {
    this.key = key;
    this.revision = revision;
    this.#bytes = bytes;
    this.#object = object && withRevision(object, revision);
  }

  /** With `metadata.resourceVersion`. */
  get object(): KubeObject {
    this.#object ??= JSON.parse(this.json.toString()) as KubeObject; // Written by `encode`, by us alone.
    return this.#object;
  }

  /** The object as compact JSON with `metadata.resourceVersion`. */
  get json(): Buffer {
    if (this.revision === 0) return Buffer.from(this.#bytes);
    const field = `"resourceVersion":"${this.revision}",`;
    const at = metadataStart(this.#bytes);
    const json = Buffer.allocUnsafe(this.#bytes.length + field.length);
    json.set(this.#bytes.subarray(0, at), 0);
    json.write(field, at, "latin1");
    json.set(this.#bytes.subarray(at), at + field.length);
    return json;
  }

  /** The most bytes that `writeItem` takes. */
  get itemBytesMax(): number {
    return this.#bytes.length + revisionBytesMax;
  }

  /** Writes the object as lists carry it, without `kind` and `apiVersion`. Returns where it ends. */
  writeItem(out: Buffer, start: number): number {
    const metadata = metadataStart(this.#bytes);
    let at = start;
    out[at++] = openingBrace;
    const key = this.#bytes.subarray(metadata - metadataKey.length, metadata);
    out.set(key, at);
    at += key.length;
    if (this.revision !== 0) at += out.write(`"resourceVersion":"${this.revision}",`, at, "latin1");
    out.set(this.#bytes.subarray(metadata), at);
    return at + this.#bytes.length - metadata;
  }

  get byteLength(): number {
    return this.#bytes.length;
  }

  /** The same object under another revision, as a watcher is told of its end. */
  at(revision: number): Stored {
    return new Stored(this.key, revision, this.#bytes, this.#object);
  }

  /** Lets go of the parsed object; it is parsed again when someone asks. */
  fold(): void {
    this.#object = undefined;
  }
}

/** The bytes that the store keeps: `kind`, `apiVersion` and `metadata` first, without `resourceVersion`. */
export function encode(object: KubeObject): Buffer {
  const { kind, apiVersion, metadata, ...rest } = object;
  const { resourceVersion: _, ...ownMetadata } = metadata;
  return Buffer.from(JSON.stringify({ kind, apiVersion, metadata: ownMetadata, ...rest }));
}

function withRevision(object: KubeObject, revision: number): KubeObject {
  const { resourceVersion: _, ...metadata } = object.metadata;
  return { ...object, metadata: { ...metadata, ...(revision > 0 && { resourceVersion: String(revision) }) } };
}

const openingBrace = 0x7b;
const metadataKey = '"metadata":{';
const revisionBytesMax = '"resourceVersion":"",'.length + 16;

/** Kind and apiVersion hold no brace, so the second one of the text opens the metadata, which are never empty. */
const metadataStart = (bytes: Uint8Array): number => bytes.indexOf(openingBrace, 1) + 1;
