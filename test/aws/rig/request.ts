/** One request to AWS, as far as the rig looks into it. */
export type AwsRequest = {
  /** As in the signature's scope: `ec2`, `elasticloadbalancing`, `route53`, `ssm`, … */
  service: string;
  /** `RunInstances`. */
  action: string;
  /** Of a form; empty for other protocols. Nested ones keep their dotted names: `TagSpecification.1.Tag.2.Key`. */
  parameters: URLSearchParams;
  method: string;
  /** With its query. */
  path: string;
  headers: Readonly<Record<string, string>>;
  body: string;
};

export type Answer = { status: number; headers: Readonly<Record<string, string>>; body: string };

/** One trait of AWS that is put in front of what lies behind `next`. */
export type Manner = (request: AwsRequest, next: (request: AwsRequest) => Promise<Answer>) => Promise<Answer>;

/** Route 53 has no actions in its requests, only methods and paths: the first that fits. */
const route53Actions: readonly [method: string, path: RegExp, action: string][] = [
  ["POST", /\/tags\/hostedzone\/[^/]+\/?$/, "ChangeTagsForResource"],
  ["GET", /\/tags\/hostedzone\/[^/]+\/?$/, "ListTagsForResource"],
  ["POST", /\/hostedzone\/[^/]+\/rrset\/?$/, "ChangeResourceRecordSets"],
  ["GET", /\/hostedzone\/[^/]+\/rrset\/?$/, "ListResourceRecordSets"],
  ["POST", /\/hostedzone\/?$/, "CreateHostedZone"],
  ["GET", /\/hostedzone\/?$/, "ListHostedZones"],
  ["GET", /\/hostedzonesbyname\/?$/, "ListHostedZonesByName"],
  ["GET", /\/hostedzonesbyvpc\/?$/, "ListHostedZonesByVPC"],
  ["GET", /\/hostedzone\/[^/]+\/?$/, "GetHostedZone"],
  ["DELETE", /\/hostedzone\/[^/]+\/?$/, "DeleteHostedZone"],
  ["GET", /\/change\/[^/]+\/?$/, "GetChange"],
];

export function readRequest({
  method,
  path,
  headers,
  body,
}: Pick<AwsRequest, "method" | "path" | "headers" | "body">): AwsRequest {
  const [, service = ""] = /Credential=[^/]+\/\d+\/[\w-]*\/([\w-]+)\//.exec(headers["authorization"] ?? "") ?? [];
  const isForm = (headers["content-type"] ?? "").startsWith("application/x-www-form-urlencoded");
  const parameters = new URLSearchParams(isForm ? body : "");
  const [, target] = (headers["x-amz-target"] ?? "").split(".");
  const action = parameters.get("Action") ?? target ?? route53Action(method, path);
  return { service, action, parameters, method, path, headers, body };
}

function route53Action(method: string, path: string): string {
  const [plain = ""] = path.split("?");
  const row = route53Actions.find(([one, pattern]) => one === method && pattern.test(plain));
  return row?.[2] ?? `${method} ${plain}`;
}

/** The same request with other parameters in its form. */
export function withParameters(request: AwsRequest, changes: Readonly<Record<string, string>>): AwsRequest {
  const parameters = new URLSearchParams(request.parameters);
  for (const [name, value] of Object.entries(changes)) parameters.set(name, value);
  const body = parameters.toString();
  return {
    ...request,
    parameters,
    body,
    headers: { ...request.headers, "content-length": `${Buffer.byteLength(body)}` },
  };
}

/** Values of a list in a form: `InstanceId.1`, `InstanceId.2`, …; `Targets.member.1.Id` by `listOf(p, "Targets", "Id")`. */
export function listOf(parameters: URLSearchParams, name: string, field?: string): string[] {
  const tail = field === undefined ? "" : `\\.${field}`;
  const pattern = new RegExp(`^${name}(?:\\.member)?\\.(\\d+)${tail}$`);
  return [...parameters].filter(([key]) => pattern.test(key)).map(([, value]) => value);
}

const xml = { "content-type": "text/xml" };

/** An error in the words of the service that was asked. */
export function errorAnswer({ service, headers }: AwsRequest, status: number, code: string, message: string): Answer {
  const type = headers["content-type"] ?? "";
  if (type.startsWith("application/x-amz-json"))
    return { status, headers: { "content-type": type }, body: JSON.stringify({ __type: code, message }) };
  const error = `<Code>${code}</Code><Message>${message}</Message>`;
  const body =
    service === "ec2"
      ? `<Response><Errors><Error>${error}</Error></Errors><RequestID>rig</RequestID></Response>`
      : `<ErrorResponse><Error><Type>Sender</Type>${error}</Error><RequestId>rig</RequestId></ErrorResponse>`;
  return { status, headers: xml, body };
}

/** A success in the form of `service`: EC2 has its fields at the root, the others in a result of their own. */
export function xmlAnswer({ service, action }: AwsRequest, fields: string): Answer {
  const head = `<${action}Response xmlns="http://${service}.amazonaws.com/doc/">`;
  const inner =
    service === "ec2"
      ? `<requestId>rig</requestId>${fields}`
      : `<${action}Result>${fields}</${action}Result><ResponseMetadata><RequestId>rig</RequestId></ResponseMetadata>`;
  return { status: 200, headers: xml, body: `${head}${inner}</${action}Response>` };
}

/** Texts of the elements of this name, in order. */
export const textsOf = (answer: string, element: string): string[] =>
  [...answer.matchAll(new RegExp(`<${element}>([^<]*)</${element}>`, "g"))].map(([, text = ""]) => text);
