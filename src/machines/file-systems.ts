/** The file systems of disks, and what a StorageClass of `ebs.csi.aws.com` may say of them (keys in any case). */

const fileSystems = ["ext4", "ext3", "xfs"] as const;
export type FileSystem = (typeof fileSystems)[number];

const isFileSystem = (text: string): text is FileSystem => fileSystems.some((each) => each === text);
/** A volume that doesn't say what it has, or says what nobody here makes, gets this where it is blank. */
export const fileSystemNamed = (text = ""): FileSystem => (isFileSystem(text) ? text : "ext4");

/** Parameters by their names in lower case, as the words that mkfs takes them by. */
const ext: Readonly<Record<string, (value: string) => string[]>> = {
  blocksize: (value) => ["-b", value],
  inodesize: (value) => ["-I", value],
  bytesperinode: (value) => ["-i", value],
  numberofinodes: (value) => ["-N", value],
};
const xfs: typeof ext = {
  blocksize: (value) => ["-b", `size=${value}`],
  inodesize: (value) => ["-i", `size=${value}`],
};
const optionsOf = (fsType: FileSystem): typeof ext => (fsType === "xfs" ? xfs : ext);

type Parameters = Readonly<Record<string, string>>;

/**
 * The file system that a StorageClass asks for, and its parameters as attributes of the volume. `problem`: why there
 * can't be one, in one sentence.
 */
export function fileSystemOf(parameters: Parameters): {
  fsType: FileSystem;
  attributes: Parameters;
  problem?: string;
} {
  const said = Object.entries(parameters).find(([key]) => /fstype$/i.test(key));
  const text = said?.[1] || "ext4";
  if (!isFileSystem(text)) {
    const problem = `the StorageClass parameter "${said?.[0]}" can't be "${text}": ${fileSystems.join(", ")} are made`;
    return { fsType: "ext4", attributes: {}, problem };
  }
  const given = Object.entries(parameters).filter(([key]) => key.toLowerCase() in ext);
  const attributes = Object.fromEntries(given.map(([key, value]) => [key.toLowerCase(), value]));
  const bad = given.find(([key, value]) => !/^[1-9]\d{0,9}$/.test(value) || !(key.toLowerCase() in optionsOf(text)));
  if (!bad) return { fsType: text, attributes };
  const why = /^[1-9]\d{0,9}$/.test(bad[1]) ? `${text} has no such option` : "a positive whole number is expected";
  return {
    fsType: text,
    attributes: {},
    problem: `the StorageClass parameter "${bad[0]}" can't be "${bad[1]}": ${why}`,
  };
}

/** The words that mkfs is given for a volume with these attributes. */
export const formatOptions = (fsType: FileSystem, attributes: Parameters = {}): string[] =>
  Object.entries(attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, value]) => (/^\d{1,10}$/.test(value) ? (optionsOf(fsType)[key]?.(value) ?? []) : []));
