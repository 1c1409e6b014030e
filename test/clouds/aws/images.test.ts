import { DescribeImagesCommand, EC2Client, type Image } from "@aws-sdk/client-ec2";
import { GetParameterCommand, ParameterNotFound, SSMClient } from "@aws-sdk/client-ssm";
import { mockClient } from "aws-sdk-client-mock";
import { expect, test } from "vitest";
import { VirtualClock } from "../../../src/base/virtual.ts";
import type { AwsClients } from "../../../src/clouds/aws/api.ts";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { openImages } from "../../../src/clouds/aws/images.ts";

const debian: Image = {
  ImageId: "ami-11111111111111111",
  Name: "debian-12-amd64-20260101-1",
  OwnerId: "136693071363",
  Architecture: "x86_64",
  State: "available",
  RootDeviceName: "/dev/xvda",
  RootDeviceType: "ebs",
  CreationDate: "2026-01-01T00:00:00.000Z",
  BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { VolumeSize: 8 } }],
};

function open() {
  const ec2 = mockClient(EC2Client);
  const ssm = mockClient(SSMClient);
  ssm.on(GetParameterCommand).rejects(new ParameterNotFound({ message: "", $metadata: { httpStatusCode: 400 } }));
  ec2.on(DescribeImagesCommand).resolves({ Images: [] });
  const region = "us-east-1";
  const clients = { ec2: new EC2Client({ region }), ssm: new SSMClient({ region }) } as unknown as AwsClients;
  const clock = new VirtualClock();
  return { ec2, ssm, clock, images: openImages(openSend(clients, clock), clock) };
}

test("a family is looked up by its parameter", async () => {
  const { ec2, ssm, images } = open();
  ssm.on(GetParameterCommand).resolves({ Parameter: { Value: "ami-11111111111111111" } });
  ec2.on(DescribeImagesCommand, { ImageIds: ["ami-11111111111111111"], IncludeDeprecated: true }).resolves({
    Images: [debian],
  });
  expect(await images.find("debian-12", "amd64")).toEqual({
    id: "ami-11111111111111111",
    family: "debian",
    architecture: "amd64",
    diskBytesMin: 8 * 2 ** 30,
    rootDevice: "/dev/xvda",
  });
  expect(ssm.call(0).args[0].input).toEqual({ Name: "/aws/service/debian/release/12/latest/amd64" });
});

test("where there is no parameter the newest of its owner's images counts", async () => {
  const { ec2, images } = open();
  const newer = { ...debian, ImageId: "ami-22222222222222222", CreationDate: "2026-02-01T00:00:00.000Z" };
  const arm = {
    ...newer,
    ImageId: "ami-33333333333333333",
    Architecture: "arm64",
    CreationDate: "2026-03-01",
  } as const;
  ec2
    .on(DescribeImagesCommand, {
      Owners: ["136693071363"],
      Filters: [
        { Name: "name", Values: ["debian-12-amd64-2*"] },
        { Name: "state", Values: ["available"] },
      ],
    })
    .resolves({ Images: [debian, newer, arm] });
  expect((await images.find("debian-12", "amd64")).id).toBe("ami-22222222222222222");
});

test.for<[image: Partial<Image>, message: string]>([
  [
    { Architecture: "arm64" },
    "is made for arm64, the Pod for amd64: choose another image, or select kubernetes.io/arch=arm64.",
  ],
  [{ State: "pending" }, "is pending."],
  [{ Platform: "Windows" }, "is a Windows image; drover prepares machines with cloud-init."],
  [{ RootDeviceType: "instance-store" }, "has no EBS root disk."],
])("an image that can't be booted says why: %j", async ([image, message]) => {
  const { ec2, images } = open();
  ec2.on(DescribeImagesCommand).resolves({ Images: [{ ...debian, ...image }] });
  await expect(images.find("ami-11111111111111111", "amd64")).rejects.toThrow(
    `The machine image ami-11111111111111111 ${message}`,
  );
});

test("an image that isn't there says where it was looked for", async () => {
  const { images } = open();
  await expect(images.find("debian-12", "arm64")).rejects.toThrow(
    "There is no machine image debian-12 for arm64 in this region (asked for " +
      "/aws/service/debian/release/12/latest/arm64, debian-12-arm64-2* of 136693071363).",
  );
});

test("an image of the user's own says by a tag what it is made of", async () => {
  const { ec2, images } = open();
  const Tags = [{ Key: "drover.dev/family", Value: "ubuntu" }];
  ec2.on(DescribeImagesCommand).resolves({ Images: [{ ...debian, OwnerId: "1", Name: "golden", Tags }] });
  expect((await images.find("name:golden", "amd64")).family).toBe("ubuntu");
});

test("an answer is believed for a day", async () => {
  const { ec2, clock, images } = open();
  ec2.on(DescribeImagesCommand).resolves({ Images: [debian] });
  await images.find("ami-11111111111111111", "amd64");
  await clock.advance(86_000_000);
  await images.find("ami-11111111111111111", "amd64");
  expect(ec2.calls()).toHaveLength(1);
  await clock.advance(1_000_000);
  await images.find("ami-11111111111111111", "amd64");
  expect(ec2.calls()).toHaveLength(2);
});
