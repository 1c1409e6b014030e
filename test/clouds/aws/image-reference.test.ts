import { expect, test } from "vitest";
import { familyOf, parseImageReference } from "../../../src/clouds/aws/image-reference.ts";

test.for<[reference: string, architecture: "amd64" | "arm64", first: object, family: string | undefined]>([
  ["ami-0123456789abcdef0", "amd64", { id: "ami-0123456789abcdef0" }, undefined],
  ["ami-12345678", "arm64", { id: "ami-12345678" }, undefined],
  ["ssm:/golden/web", "amd64", { parameter: "/golden/web" }, undefined],
  ["name:golden-*", "amd64", { pattern: "golden-*", owner: "self" }, undefined],
  ["name:debian-13-*@136693071363", "amd64", { pattern: "debian-13-*", owner: "136693071363" }, undefined],
  ["debian-12", "amd64", { parameter: "/aws/service/debian/release/12/latest/amd64" }, "debian"],
  ["debian", "arm64", { parameter: "/aws/service/debian/release/12/latest/arm64" }, "debian"],
  ["debian-13", "arm64", { parameter: "/aws/service/debian/release/13/latest/arm64" }, "debian"],
  [
    "ubuntu",
    "amd64",
    { parameter: "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id" },
    "ubuntu",
  ],
  [
    "ubuntu-22.04",
    "arm64",
    { parameter: "/aws/service/canonical/ubuntu/server/22.04/stable/current/arm64/hvm/ebs-gp3/ami-id" },
    "ubuntu",
  ],
  [
    "al2023",
    "amd64",
    { parameter: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64" },
    "amazon-linux",
  ],
  [
    "al2023-minimal",
    "arm64",
    { parameter: "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-arm64" },
    "amazon-linux",
  ],
])("%s for %s is looked for first as %j", ([reference, architecture, first, family]) => {
  const parsed = parseImageReference(reference, architecture);
  expect(parsed.sources[0]).toEqual(first);
  expect(parsed.family).toBe(family);
});

test.for(["", "nginx", "ami-xyz", "ssm:relative", "ssm:/a b", "name:", "name:x@nobody", "debian-bookworm", "windows"])(
  "%j is refused with the forms that there are",
  (reference) => {
    expect(() => parseImageReference(reference, "amd64")).toThrow(/is no machine image of AWS: name an id \(ami-…\)/);
  },
);

test.for<[name: string, owner: string, tag: string | undefined, family: string]>([
  ["debian-12-amd64-20260101-1", "136693071363", undefined, "debian"],
  ["debian-12-hardened", "123456789012", undefined, "debian"],
  ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-1", "099720109477", undefined, "ubuntu"],
  ["al2023-ami-2023.7.1-kernel-6.1-x86_64", "137112412989", undefined, "amazon-linux"],
  ["amzn2-ami-hvm-2.0", "137112412989", undefined, "amazon-linux"],
  ["golden-web-7", "123456789012", undefined, "other"],
  ["golden-web-7", "123456789012", "ubuntu", "ubuntu"],
  ["golden-web-7", "123456789012", "gentoo", "other"],
  ["debian-12-amd64-1", "136693071363", "other", "other"],
])("an image called %s of %s with the tag %s is %s", ([name, owner, tag, family]) => {
  expect(familyOf(name, owner, tag)).toBe(family);
});
