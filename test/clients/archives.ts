import { gunzipSync, inflateRawSync } from "node:zlib";

/** The bytes of one file of a gzipped tar archive. Names are exact, e.g. `package/lib/layer.zip`. */
export function fileOfTarGz(archive: Uint8Array, name: string): Buffer {
  const tar = gunzipSync(archive);
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const header = tar.subarray(at, at + 512);
    const sizeBytes = Number.parseInt(header.toString("latin1", 124, 136), 8);
    if (header.toString("latin1", 0, 100).replace(/\0.*$/s, "") === name) {
      return tar.subarray(at + 512, at + 512 + sizeBytes);
    }
    at += 512 + Math.ceil(sizeBytes / 512) * 512;
  }
  throw new Error(`the archive holds no ${name}`);
}

/** The bytes of one stored or deflated file of a zip archive. */
export function fileOfZip(archive: Buffer, name: string): Buffer {
  const end = archive.lastIndexOf(Buffer.from("PK\x05\x06", "latin1"));
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    const nameBytes = archive.readUInt16LE(at + 28);
    if (archive.toString("utf8", at + 46, at + 46 + nameBytes) === name) return contentOf(archive, at);
    at += 46 + nameBytes + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  throw new Error(`the archive holds no ${name}`);
}

/** `entryAt`: offset of the file's entry in the central directory, which knows the sizes. */
function contentOf(archive: Buffer, entryAt: number): Buffer {
  const localAt = archive.readUInt32LE(entryAt + 42);
  const dataAt = localAt + 30 + archive.readUInt16LE(localAt + 26) + archive.readUInt16LE(localAt + 28);
  const data = archive.subarray(dataAt, dataAt + archive.readUInt32LE(entryAt + 20));
  return archive.readUInt16LE(entryAt + 10) === 0 ? data : inflateRawSync(data);
}
