import { expect, test } from "vitest";
import { fileSystemNamed, fileSystemOf, formatOptions } from "../../src/machines/file-systems.ts";

test.for([
  [{}, "ext4", []],
  [{ type: "gp3", "csi.storage.k8s.io/fstype": "xfs" }, "xfs", []],
  [{ fsType: "ext3" }, "ext3", []],
  [{ fsType: "" }, "ext4", []],
  [
    { blockSize: "4096", inodeSize: "512", bytesPerInode: "8192", numberOfInodes: "9" },
    "ext4",
    ["-b", "4096", "-i", "8192", "-I", "512", "-N", "9"],
  ],
  [{ fstype: "xfs", BlockSize: "4096", inodesize: "512" }, "xfs", ["-b", "size=4096", "-i", "size=512"]],
] as const)("parameters %o give %s with mkfs %o", ([parameters, fsType, words]) => {
  const found = fileSystemOf(parameters);
  expect(found.problem).toBeUndefined();
  expect(found.fsType).toBe(fsType);
  expect(formatOptions(found.fsType, found.attributes)).toEqual(words);
});

test.for([
  [{ "csi.storage.k8s.io/fstype": "btrfs" }, '"csi.storage.k8s.io/fstype" can\'t be "btrfs": ext4, ext3, xfs are made'],
  [{ blockSize: "-1" }, '"blockSize" can\'t be "-1": a positive whole number is expected'],
  [{ fstype: "xfs", bytesPerInode: "8192" }, '"bytesPerInode" can\'t be "8192": xfs has no such option'],
] as const)("parameters %o are refused by name", ([parameters, problem]) => {
  expect(fileSystemOf(parameters).problem).toBe(`the StorageClass parameter ${problem}`);
});

test("nothing that a volume says reaches mkfs but numbers", () => {
  expect(formatOptions("ext4", { blocksize: "1; reboot", other: "1" })).toEqual([]);
  expect([fileSystemNamed("xfs"), fileSystemNamed("ntfs"), fileSystemNamed()]).toEqual(["xfs", "ext4", "ext4"]);
});
