import { expect, test } from "vitest";
import { networkOf } from "../../src/base/cidr.ts";

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
