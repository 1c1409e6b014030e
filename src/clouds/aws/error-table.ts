import type { ErrorCode } from "../../base/errors.ts";

/**
 * What an answer of AWS means to a caller, beyond the catalogue's code:
 * throttled (nothing was done, send it again slower), transient (it may or may not have been done), expired (nobody
 * gets through until there is a new login), denied (this one action is not permitted), pool (this type in this zone has
 * nothing left), quota (the account may have no more), absent (there is no such thing, perhaps not yet), exists (adopt
 * it), busy (something else has to end first), mismatch (the token was used for something else), refused (the request
 * itself is wrong).
 */
export type ErrorKind =
  | "throttled"
  | "transient"
  | "expired"
  | "denied"
  | "pool"
  | "quota"
  | "absent"
  | "exists"
  | "busy"
  | "mismatch"
  | "refused";

/** By kind: the catalogue's code, after how long the same call makes sense again, and what the reader can do. */
export const kinds: Readonly<Record<ErrorKind, { code: ErrorCode; retryAfterSeconds?: number; advice: string }>> = {
  throttled: { code: "CLOUD_THROTTLED", retryAfterSeconds: 1, advice: "drover slows down by itself" },
  transient: { code: "CLOUD_UNAVAILABLE", retryAfterSeconds: 1, advice: "drover repeats the call" },
  expired: { code: "CLOUD_AUTH", retryAfterSeconds: 10, advice: "log in again, for example with `aws sso login`" },
  denied: { code: "CLOUD_AUTH", retryAfterSeconds: 60, advice: "grant this action; `drover doctor` lists all of them" },
  pool: { code: "CLOUD_CAPACITY", retryAfterSeconds: 180, advice: "drover tries another type or zone" },
  quota: { code: "CLOUD_QUOTA", retryAfterSeconds: 60, advice: "ask for more in the Service Quotas console" },
  absent: { code: "CLOUD_INVALID", advice: "check the name and the region" },
  exists: { code: "CLOUD_INVALID", advice: "choose another name or delete the one that is there" },
  busy: { code: "CLOUD_UNAVAILABLE", retryAfterSeconds: 10, advice: "drover waits until it is free" },
  mismatch: { code: "CLOUD_INVALID", advice: "drover launches under a new id" },
  refused: { code: "CLOUD_INVALID", advice: "change the named value" },
};

type Row = { kind: ErrorKind; codes: string; advice?: string };

/** Every code of AWS that means more than its HTTP status says. Sources: the table in the error reference of each service. */
const rows: readonly Row[] = [
  {
    kind: "throttled",
    codes: `RequestLimitExceeded Throttling ThrottlingException ThrottledException EC2ThrottledException
      TooManyRequestsException RequestThrottled RequestThrottledException BandwidthLimitExceeded
      ProvisionedThroughputExceededException SlowDown PriorRequestNotComplete`,
  },
  {
    kind: "transient",
    codes: `InternalError InternalFailure InternalServerError InternalServiceError InternalServiceException
      ServiceUnavailable ServiceUnavailableException Unavailable RequestTimeout RequestTimeoutException TimeoutError
      NetworkingError ECONNRESET ECONNREFUSED ECONNABORTED ETIMEDOUT EPIPE EHOSTUNREACH ENETUNREACH EAI_AGAIN
      ERR_SOCKET_CONNECTION_TIMEOUT`,
  },
  {
    kind: "transient",
    codes: "SyntaxError",
    advice: "something between here and AWS answers in its stead, a proxy or a hotel's portal; drover repeats the call",
  },
  {
    kind: "transient",
    codes: "ENOTFOUND",
    advice: "there is no such host: check the name of the region and this computer's network; drover repeats the call",
  },
  {
    kind: "expired",
    codes: `ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired InvalidAccessKeyId
      SSOTokenProviderFailure`,
  },
  {
    kind: "expired",
    codes: "CredentialsProviderError TokenProviderError",
    advice:
      "log in again, for example with `aws sso login`, or name a profile that has credentials (--profile, AWS_PROFILE)",
  },
  {
    kind: "expired",
    codes: "AuthFailure InvalidClientTokenId UnrecognizedClientException",
    advice:
      "log in again, for example with `aws sso login`; a region that the account has not enabled refuses every login so",
  },
  {
    kind: "expired",
    codes: "SignatureDoesNotMatch RequestTimeTooSkewed InvalidSignatureException RequestInTheFuture",
    advice: "check this computer's clock and the secret key, then log in again",
  },
  {
    kind: "denied",
    codes: `UnauthorizedOperation AccessDenied AccessDeniedException UnauthorizedAccess Client.UnauthorizedOperation
      AuthFailure.ServiceLinkedRoleCreationNotPermitted NotAuthorized OperationNotPermittedException`,
  },
  {
    kind: "denied",
    codes: "OptInRequired PendingVerification Blocked SubscriptionRequiredException",
    advice: "the account itself has to be cleared or subscribed first; AWS' message says how",
  },
  {
    kind: "pool",
    codes: `InsufficientInstanceCapacity UnfulfillableCapacity InsufficientFreeAddressesInSubnet Unsupported
      ReservationCapacityExceeded SpotMaxPriceTooLow InsufficientCapacity InsufficientHostCapacity
      InsufficientReservedInstanceCapacity InsufficientCapacityOnOutpost InsufficientVolumeCapacity
      InvalidAvailabilityZone`,
  },
  {
    kind: "quota",
    codes: `VcpuLimitExceeded MaxSpotInstanceCountExceeded MaxFleetCountExceeded InstanceLimitExceeded VolumeLimitExceeded
      MaxIOPSLimitExceeded SpotFleetRequestLimitExceeded AddressLimitExceeded SecurityGroupLimitExceeded
      SecurityGroupsPerInstanceLimitExceeded RulesPerSecurityGroupLimitExceeded ResourceLimitExceeded TagLimitExceeded
      PrivateIpAddressLimitExceeded NetworkInterfaceLimitExceeded AttachmentLimitExceeded SnapshotLimitExceeded
      TooManyLoadBalancers TooManyTargetGroups TooManyListeners TooManyRules TooManyTargets TooManyCertificates
      TooManyRegistrationsForTargetId TooManyTags TooManyUniqueTargetGroupsPerLoadBalancer TooManyActions
      TooManyHostedZones LimitsExceeded LimitExceeded ServiceQuotaExceededException`,
  },
  {
    kind: "absent",
    codes: `ParameterNotFound ParameterVersionNotFound LoadBalancerNotFound TargetGroupNotFound ListenerNotFound
      RuleNotFound CertificateNotFound SubnetNotFound SSLPolicyNotFound NoSuchHostedZone NoSuchChange NoSuchEntity
      NoSuchResourceException InvalidVpcID.NotFound InvalidSubnetID.NotFound InvalidGroup.NotFound
      InvalidSecurityGroupID.NotFound InvalidInstanceID.NotFound InvalidVolume.NotFound InvalidAMIID.NotFound
      InvalidLaunchTemplateName.NotFoundException InvalidLaunchTemplateId.NotFound
      InvalidLaunchTemplateId.NotFoundException InvalidPermission.NotFound InvalidAMIID.Unavailable
      WAFNonexistentItem`,
  },
  {
    kind: "exists",
    codes: `InvalidPermission.Duplicate InvalidGroup.Duplicate InvalidLaunchTemplateName.AlreadyExistsException
      EntityAlreadyExists DuplicateLoadBalancerName DuplicateTargetGroupName DuplicateListener HostedZoneAlreadyExists
      ConflictingDomainExists PriorityInUse`,
  },
  {
    kind: "busy",
    codes: `DependencyViolation VolumeInUse IncorrectState IncorrectInstanceState ResourceInUse ConcurrentModification
      IncorrectSpotRequestState OperationInProgress WAFUnavailableEntity`,
  },
  { kind: "mismatch", codes: "IdempotentParameterMismatch IdempotentParameterMismatchException" },
  {
    kind: "refused",
    codes: `InvalidParameterValue InvalidParameterCombination InvalidParameter MissingParameter UnknownParameter
      ValidationError ValidationException InvalidUserData.Malformed InvalidAMIID.Malformed InvalidInstanceID.Malformed
      InvalidBlockDeviceMapping InvalidConfigurationRequest InvalidTarget InvalidSubnet InvalidSecurityGroup
      IncompatibleProtocols InvalidLoadBalancerAction OperationNotPermitted UnsupportedOperation InvalidChangeBatch
      InvalidInput InvalidInstanceType InvalidTagKey.Malformed`,
  },
];

const byCode = new Map(rows.flatMap((row) => row.codes.split(/\s+/).map((code) => [code, row] as const)));

/** Codes of one family that have no row of their own. */
const families: readonly [RegExp, ErrorKind][] = [
  [/(\.|^)NotFound(Exception)?$|NotFound$|NotFoundException$/, "absent"],
  [/\.Duplicate$|AlreadyExists(Exception)?$/, "exists"],
  [/LimitExceeded(Exception)?$|QuotaExceeded/, "quota"],
  [/\.(Malformed|InvalidFormat)$/, "refused"],
];

const kindOfStatus = (status: number | undefined): ErrorKind => {
  if (status === undefined || status >= 500) return "transient";
  if (status === 429) return "throttled";
  if (status === 401 || status === 403) return "denied";
  return status >= 400 ? "refused" : "transient";
};

/** `status`: of HTTP; absent when there was no answer at all. Codes that nobody knows are judged by it. */
export function judge(awsCode: string, status: number | undefined): { kind: ErrorKind; advice: string } {
  const code = awsCode.replace(/^(Client|Server)\./, "");
  const row = byCode.get(awsCode) ?? byCode.get(code) ?? byCode.get(code.replace(/Exception$/, ""));
  const kind = row?.kind ?? families.find(([pattern]) => pattern.test(code))?.[1] ?? kindOfStatus(status);
  return { kind, advice: row?.advice ?? kinds[kind].advice };
}
