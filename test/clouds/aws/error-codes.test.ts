import { expect, test } from "vitest";
import { type ErrorKind, judge, kinds } from "../../../src/clouds/aws/error-table.ts";

/**
 * Codes that AWS' documentation and other controllers of machines name, by what has to be done about them. A status
 * that none of them has would change the verdict of a code that is not in the table itself.
 */
const table: Readonly<Record<ErrorKind, string>> = {
  throttled:
    "RequestLimitExceeded Throttling ThrottlingException EC2ThrottledException PriorRequestNotComplete TooManyRequestsException",
  transient: "InternalError Server.InternalError Client.InternalError ServiceUnavailable Unavailable ECONNRESET",
  absent: `InvalidInstanceID.NotFound InvalidLaunchTemplateName.NotFoundException InvalidLaunchTemplateId.NotFound
    InvalidAMIID.NotFound InvalidGroup.NotFound InvalidVolume.NotFound LoadBalancerNotFound TargetGroupNotFound`,
  exists: `InvalidLaunchTemplateName.AlreadyExistsException InvalidPermission.Duplicate InvalidGroup.Duplicate
    EntityAlreadyExists DuplicateLoadBalancerName DuplicateTargetGroupName DuplicateListener`,
  pool: `InsufficientInstanceCapacity Server.InsufficientInstanceCapacity UnfulfillableCapacity
    InsufficientFreeAddressesInSubnet Unsupported ReservationCapacityExceeded SpotMaxPriceTooLow InsufficientCapacity
    InsufficientHostCapacity InsufficientReservedInstanceCapacity`,
  quota: `VcpuLimitExceeded MaxSpotInstanceCountExceeded MaxFleetCountExceeded InstanceLimitExceeded VolumeLimitExceeded
    Client.VolumeLimitExceeded MaxIOPSLimitExceeded RulesPerSecurityGroupLimitExceeded TagLimitExceeded`,
  mismatch: "IdempotentParameterMismatch",
  denied: `UnauthorizedOperation AuthFailure.ServiceLinkedRoleCreationNotPermitted OptInRequired PendingVerification
    AccessDenied AccessDeniedException`,
  expired: "AuthFailure ExpiredToken RequestExpired InvalidClientTokenId",
  busy: "DependencyViolation VolumeInUse IncorrectState IncorrectInstanceState ResourceInUse",
  refused: "InvalidUserData.Malformed InvalidParameterValue InvalidTarget ValidationError",
};

test.for(Object.entries(table).flatMap(([kind, codes]) => codes.split(/\s+/).map((code) => [code, kind] as const)))(
  "%s is known by its name: %s",
  ([code, kind]) => {
    expect([undefined, 200, 400, 403, 429, 503].map((status) => judge(code, status).kind)).toEqual(
      Array.from({ length: 6 }, () => kind),
    );
  },
);

test("every class says what becomes of the call: when it makes sense again, and what the reader can do", () => {
  expect(Object.keys(kinds).sort()).toEqual(Object.keys(table).sort());
  const again = Object.entries(kinds).filter(([, { retryAfterSeconds }]) => retryAfterSeconds !== undefined);
  expect(Object.fromEntries(again.map(([kind, { retryAfterSeconds }]) => [kind, retryAfterSeconds]))).toEqual({
    throttled: 1,
    transient: 1,
    expired: 10,
    denied: 60,
    pool: 180,
    quota: 60,
    busy: 10,
  });
  for (const { advice } of Object.values(kinds)) expect(advice.length).toBeGreaterThan(10);
});
