/** HTTP status of the codes that are not answered with 400. */
const statuses: Readonly<Record<string, number>> = {
  AccessDenied: 403,
  AccessDeniedException: 400,
  DryRunOperation: 412,
  ExpiredToken: 403,
  HostedZoneAlreadyExists: 409,
  InsufficientInstanceCapacity: 500,
  InternalError: 500,
  InternalFailure: 500,
  NoSuchHostedZone: 404,
  NoSuchChange: 404,
  RequestLimitExceeded: 503,
  ServiceUnavailable: 503,
  Unavailable: 503,
  UnauthorizedOperation: 403,
};

export type ResponseMetadata = {
  httpStatusCode?: number;
  requestId?: string;
  attempts: number;
  totalRetryDelay: number;
};

/** What the SDK throws: `name` and `Code` are AWS' code; a lost connection has neither status nor request id. */
export class AwsError extends Error {
  override readonly name: string;
  /** The SDK calls every error that its models don't name the client's own, whatever its status. */
  readonly $fault = "client";
  readonly $metadata: ResponseMetadata = { attempts: 1, totalRetryDelay: 0 };
  readonly Code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = code;
    this.Code = code;
    this.$metadata.httpStatusCode = statuses[code] ?? 400;
  }
}

/** The connection broke: whether the request was carried out is not known. */
export class ConnectionLost extends Error {
  readonly code = "ECONNRESET";
  readonly $metadata: ResponseMetadata = { attempts: 1, totalRetryDelay: 0 };

  constructor() {
    super("socket hang up");
  }
}

export const missingParameter = (name: string): AwsError =>
  new AwsError("MissingParameter", `The request must contain the parameter ${name}`);

export const invalidValue = (message: string): AwsError => new AwsError("InvalidParameterValue", message);
