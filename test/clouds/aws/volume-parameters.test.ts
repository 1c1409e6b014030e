import { expect, test } from "vitest";
import { diskRequest } from "../../../src/clouds/aws/volume-parameters.ts";

const request = (parameters: Record<string, string>) => diskRequest({ id: "pvc-1", name: "shop/data", parameters }, 10);
const base = { VolumeType: "gp3", Encrypted: true, tags: {} };

test.for<[Record<string, string>, object]>([
  [{}, base],
  [
    { type: "gp3", iops: "4000", throughput: "250" },
    { ...base, Iops: 4000, Throughput: 250 },
  ],
  [
    { type: "io2", iopsPerGB: "50" },
    { ...base, VolumeType: "io2", Iops: 500 },
  ],
  [
    { type: "io1", iopsPerGB: "1", allowAutoIOPSPerGBIncrease: "true" },
    { ...base, VolumeType: "io1", Iops: 100 },
  ],
  [
    { type: "io1", iopsPerGB: "90000" },
    { ...base, VolumeType: "io1", Iops: 64_000 },
  ],
  [{ Encrypted: "false" }, { ...base, Encrypted: false }],
  [{ kmsKeyId: "alias/data" }, { ...base, KmsKeyId: "alias/data" }],
  [
    { tagSpecification_1: "team=web", tagSpecification_2: "a=b=c" },
    { ...base, tags: { team: "web", a: "b=c" } },
  ],
  [
    { tagSpecification1: "of={{ .PVCNamespace }}/{{.PVCName}}", tagSpecification_two: "{{ .PVName }}=x" },
    { ...base, tags: { of: "shop/data", "pvc-1": "x" } },
  ],
  [{ blockSize: "4096", "csi.storage.k8s.io/node-publish-secret-name": "x" }, base],
])("%j", ([parameters, expected]) => {
  expect(request(parameters)).toEqual(expected);
});

test.for<[Record<string, string>, RegExp]>([
  [{ type: "gp4" }, /"type" can't be "gp4": the types are gp2, gp3/],
  [{ iops: "many" }, /"iops" can't be "many": a positive whole number/],
  [{ type: "gp2", iops: "3000" }, /"iops".*gp2 takes none/],
  [{ iops: "90000" }, /gp3 has 3000 to 80000/],
  [{ type: "io2" }, /it needs iops or iopsPerGB/],
  [{ type: "io1", iopsPerGB: "1" }, /at least 100 IOPS; set allowAutoIOPSPerGBIncrease/],
  [{ type: "gp2", throughput: "200" }, /only gp3 takes it/],
  [{ encrypted: "yes" }, /true or false/],
  [{ encrypted: "false", kmsKeyId: "k" }, /encrypted is false/],
  [{ ext4BigAlloc: "true" }, /"ext4BigAlloc".*knows no such parameter/],
  [{ speed: "11" }, /"speed".*knows no such parameter/],
  [{ tagSpecification_1: "team" }, /key=value/],
  [{ tagSpecification_1: "aws:x=y" }, /"tagSpecification_1" can't be "aws:x=y".*belongs to AWS/],
  [{ tagSpecification_1: "a={{ .Node }}" }, /"tagSpecification_1".*one of \.PVCNamespace, \.PVCName, \.PVName/],
])("%j is refused by name", ([parameters, message]) => {
  expect(() => request(parameters)).toThrow(message);
});
