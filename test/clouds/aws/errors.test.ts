import { expect, test } from "vitest";
import { catalogue } from "../../../src/base/errors.ts";
import { type ErrorKind, judge, kinds } from "../../../src/clouds/aws/error-table.ts";
import { awsCodeOf, awsError, isFreshProfile, kindOf } from "../../../src/clouds/aws/errors.ts";

/** An exception as the SDK throws it. */
const thrown = (name: string, message = "", httpStatusCode?: number): Error =>
  Object.assign(new Error(message), { name, Code: name, $metadata: { httpStatusCode } });

test.for<[code: string, kind: ErrorKind]>([
  ["RequestLimitExceeded", "throttled"],
  ["Throttling", "throttled"],
  ["PriorRequestNotComplete", "throttled"],
  ["InsufficientInstanceCapacity", "pool"],
  ["Server.InsufficientInstanceCapacity", "pool"],
  ["InsufficientFreeAddressesInSubnet", "pool"],
  ["Unsupported", "pool"],
  ["SpotMaxPriceTooLow", "pool"],
  ["VcpuLimitExceeded", "quota"],
  ["MaxSpotInstanceCountExceeded", "quota"],
  ["TooManyLoadBalancers", "quota"],
  ["TooManyLoadBalancersException", "quota"],
  ["InvalidInstanceID.NotFound", "absent"],
  ["InvalidLaunchTemplateName.NotFoundException", "absent"],
  ["ParameterNotFound", "absent"],
  ["InvalidRouteTableID.NotFound", "absent"],
  ["InvalidPermission.Duplicate", "exists"],
  ["InvalidKeyPair.Duplicate", "exists"],
  ["DependencyViolation", "busy"],
  ["ResourceInUse", "busy"],
  ["IdempotentParameterMismatch", "mismatch"],
  ["ExpiredToken", "expired"],
  ["RequestExpired", "expired"],
  ["CredentialsProviderError", "expired"],
  ["AuthFailure", "expired"],
  ["UnauthorizedOperation", "denied"],
  ["AccessDenied", "denied"],
  ["OptInRequired", "denied"],
  ["InvalidUserData.Malformed", "refused"],
  ["InvalidParameterValue", "refused"],
  ["SomethingNewLimitExceeded", "quota"],
  ["SyntaxError", "transient"],
])("%s means %s, whatever its status", ([code, kind]) => {
  expect([judge(code, 400).kind, judge(code, 500).kind]).toEqual([kind, kind]);
});

test.for<[status: number | undefined, kind: ErrorKind]>([
  [undefined, "transient"],
  [500, "transient"],
  [503, "transient"],
  [429, "throttled"],
  [403, "denied"],
  [401, "denied"],
  [400, "refused"],
  [404, "refused"],
])("an unknown code with status %s means %s", ([status, kind]) => {
  expect(judge("NeverHeardOf", status).kind).toBe(kind);
});

test("every kind has a code of the catalogue for clouds", () => {
  for (const { code } of Object.values(kinds)) expect(Object.keys(catalogue)).toContain(code);
  for (const { code } of Object.values(kinds)) expect(code).toMatch(/^CLOUD_/);
});

test("a connection that breaks may have carried the call out", () => {
  const error = awsError(Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }), "ec2:RunInstances");
  expect([error.code, awsCodeOf(error), kindOf(error)]).toEqual(["CLOUD_UNAVAILABLE", "ECONNRESET", "transient"]);
});

test("a denied action is named as AWS names it, with its resource and whom it is denied to", () => {
  const arn = "arn:aws:ec2:eu-west-1:123456789012:instance/*";
  const user = "arn:aws:iam::123456789012:user/ann";
  const text =
    `You are not authorized to perform this operation. User: ${user} is not authorized to perform: ec2:CreateTags ` +
    `on resource: ${arn} because no identity-based policy allows the ec2:CreateTags action. ` +
    "Encoded authorization failure message: abc";
  const error = awsError(thrown("UnauthorizedOperation", text, 403), "ec2:RunInstances");
  expect(error.code).toBe("CLOUD_AUTH");
  expect(error.details).toMatchObject({ action: "ec2:CreateTags", resource: arn, principal: user });
  expect(error.message).toBe(
    `AWS does not permit ec2:CreateTags on ${arn} to ${user} (UnauthorizedOperation): grant this action; ` +
      "`drover doctor` lists all of them.",
  );
});

test("where AWS names no action it is the call's own", () => {
  const error = awsError(thrown("UnauthorizedOperation", "You are not authorized.", 403), "ec2:RunInstances");
  expect(error.message).toContain("AWS does not permit ec2:RunInstances to these credentials");
});

test("an expired login says what to do", () => {
  const error = awsError(thrown("ExpiredToken", "The security token included in the request is expired", 400), "a:B");
  expect(error.code).toBe("CLOUD_AUTH");
  expect(error.message).toMatch(/^AWS does not accept the credentials \(ExpiredToken: .*expired\): log in again/);
});

test("who has no credentials at all is told where to name some", () => {
  const message = "Could not load credentials from any providers";
  const error = awsError(thrown("CredentialsProviderError", message), "sts:GetCallerIdentity");
  expect(error.message).toMatch(/any providers\): log in again, for example with `aws sso login`, or .*--profile/);
});

test.for(["AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"])(
  "%s may be a region that is not enabled",
  (code) => {
    expect(awsError(thrown(code, "was not able to validate", 401), "a:B").message).toMatch(
      /log in again.*a region that/,
    );
  },
);

test("a wrong clock is called a wrong clock", () => {
  expect(awsError(thrown("RequestTimeTooSkewed", "", 403), "a:B").message).toContain("clock");
});

test("a missing region is the user's to name", () => {
  expect(awsError(new Error("Region is missing"), "ec2:DescribeVpcs").code).toBe("CLOUD_INVALID");
});

test("a fresh instance profile is told from other wrong values", () => {
  const fresh = thrown(
    "InvalidParameterValue",
    "Value (web) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
    400,
  );
  expect(isFreshProfile(awsError(fresh, "ec2:RunInstances"))).toBe(true);
  expect(isFreshProfile(awsError(thrown("InvalidParameterValue", "Invalid value", 400), "ec2:RunInstances"))).toBe(
    false,
  );
});

test("an error of the catalogue stays as it is", () => {
  const error = awsError(thrown("VcpuLimitExceeded", "limit of 5", 400), "ec2:RunInstances");
  expect(awsError(error, "other")).toBe(error);
  expect(error.details).toMatchObject({ retryAfterSeconds: 60, awsCode: "VcpuLimitExceeded" });
});

test("a region that does not exist is told as such, and tried again all the same", () => {
  const error = awsError(
    thrown("ENOTFOUND", "getaddrinfo ENOTFOUND ec2.eu-nowhere-1.amazonaws.com"),
    "ec2:DescribeVpcs",
  );
  expect(error.code).toBe("CLOUD_UNAVAILABLE");
  expect(error.message).toContain("check the name of the region");
});
