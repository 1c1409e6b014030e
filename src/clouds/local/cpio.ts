/** A regular file, or a directory where `content` is absent. `path` is relative to the archive's root. */
export type ArchiveEntry = { path: string; mode: number; content?: Buffer };

const directoryBits = 0o040000;
const fileBits = 0o100000;

/** An archive in cpio's "newc" format, the one that the kernel unpacks as its first file system. */
export function cpio(entries: readonly ArchiveEntry[]): Buffer {
  const trailer = { path: "TRAILER!!!", mode: 0, content: Buffer.alloc(0) };
  const parts = [...entries, trailer].flatMap((entry, index) => {
    const content = entry.content ?? Buffer.alloc(0);
    const mode = entry.mode | (entry.content === undefined ? directoryBits : entry === trailer ? 0 : fileBits);
    const name = Buffer.from(`${entry.path}\0`);
    // Inode, mode, owner, group, links, time, size, four device numbers, length of the name, check sum.
    const fields = [index + 1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
    return [padded(Buffer.concat([Buffer.from(header), name])), padded(content)];
  });
  return Buffer.concat(parts);
}

/** Every part of the format begins at a multiple of four. */
const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
