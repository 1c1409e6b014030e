import { expect, test } from "vitest";
import { isMapped, isPartOf, networkOf, rangeOf } from "../../src/base/cidr.ts";

test.for([
  ["10.0.0.5/24", "10.0.0.0/24"],
  ["203.0.113.7/32", "203.0.113.7/32"],
  ["255.255.255.255/1", "128.0.0.0/1"],
  ["198.51.100.1/0", "0.0.0.0/0"],
  ["10.20.30.40/12", "10.16.0.0/12"],
  ["sg-0a1b", "sg-0a1b"],
  ["2001:db8::1/64", "2001:db8::1/64"],
  ["10.0.0.5", "10.0.0.5"],
] as const)("%s is %s", ([given, network]) => expect(networkOf(given)).toBe(network));

test.for([
  ["10.9.8.0/24", { family: 4, bits: 24, first: 0x0a090800n, hasHostBits: false }],
  ["10.9.8.7/24", { family: 4, bits: 24, first: 0x0a090800n, hasHostBits: true }],
  ["2001:db8::/64", { family: 6, bits: 64, first: 0x20010db8n << 96n, hasHostBits: false }],
  ["::1/0", { family: 6, bits: 0, first: 0n, hasHostBits: true }],
  ["1:2:3:4:5:6:7:8/128", { family: 6, bits: 128, first: 0x00010002000300040005000600070008n, hasHostBits: false }],
  ["10.9.8.0", undefined],
  ["10.9.8.0/33", undefined],
  ["10.9.8.0/", undefined],
  ["10.9.8.0/8/8", undefined],
  ["fe80::1%eth0/64", undefined],
] as const)("%s as a range", ([given, range]) => expect(rangeOf(given)).toEqual(range));

test.for([
  ["::ffff:10.9.8.7", true],
  ["::ffff:a09:807", true],
  ["0:0:0:0:0:ffff:1:2", true],
  ["::10.9.8.7", false],
  ["10.9.8.7", false],
  ["x", false],
] as const)("%s is IPv4 in IPv6's clothes: %s", ([given, is]) => expect(isMapped(given)).toBe(is));

test.for([
  ["10.1.0.0/16", "10.0.0.0/8", true],
  ["10.0.0.0/8", "10.0.0.0/8", false],
  ["0.0.0.0/0", "10.0.0.0/8", false],
  ["11.0.0.0/16", "10.0.0.0/8", false],
  ["2001:db8:1::/48", "2001:db8::/32", true],
  ["2001:db8::/32", "0.0.0.0/0", false],
] as const)("%s is a part of %s: %s", ([inner, outer, is]) => {
  const [a, b] = [rangeOf(inner), rangeOf(outer)];
  expect(a && b && isPartOf(a, b)).toBe(is);
});
