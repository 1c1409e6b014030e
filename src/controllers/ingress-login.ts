import type { Ingress, Secret, Service } from "../api/types.gen.ts";
import { Sealed } from "../base/sealed.ts";
import type { Login } from "../clouds/balancer.ts";
import { attempt, type Fields, fieldsOf, jsonOf, loweredHere, Refused, textOf, wholeNumber } from "./ingress-json.ts";
import { isSame } from "./owned.ts";

/** The AWS Load Balancer Controller's `auth-*`: whether clients of an Ingress, or of a Service behind it, log in. */

const prefix = "alb.ingress.kubernetes.io/auth-";
const sessionSecondsMax = 604_800;
const parametersMax = 10;
const usualCookie = "AWSELBAuthSessionCookie";

type Annotations = Readonly<Record<string, string>>;

type SecretOf = (name: string) => Secret | undefined;

/** `reason` is an Event's; `problem` names the annotation and never the secret. */
type LoginProblem = { reason: string; problem: string };

const ofLogin = (annotations: Annotations | undefined): [string, string][] =>
  Object.entries(annotations ?? {}).flatMap(([key, text]) =>
    key.startsWith(prefix) ? [[key.slice(prefix.length), text.trim()]] : [],
  );

/** The Secrets that a login of these objects needs, as far as they can be read. */
export const secretsOfLogin = (objects: readonly (Ingress | Service | undefined)[]): string[] =>
  objects.flatMap((object) => {
    const text = new Map(ofLogin(object?.metadata.annotations)).get("idp-oidc");
    const found = text === undefined ? {} : attempt("", () => secretNameOf(oidcFields(text)));
    return typeof found === "string" ? [found] : [];
  });

/**
 * What clients of a backend have to do, whose Service's own annotations win over the Ingress'. Several Services behind
 * one backend have to agree. undefined: nobody has to log in.
 */
export function loginOf(ingress: Ingress, services: readonly (Service | undefined)[], secretOf: SecretOf): Outcome {
  const [first, ...others] = services.map((service) => oneLogin(ingress, service, secretOf));
  if (services.length === 0) return oneLogin(ingress, undefined, secretOf);
  if (others.every((other) => isSame(first, other))) return first;
  const names = services.flatMap((service) => service?.metadata.name ?? []).join(", ");
  return { reason: "InvalidAnnotation", problem: `${prefix}type: the Services ${names} ask for different logins` };
}

type Outcome = Login | LoginProblem | undefined;

function oneLogin(ingress: Ingress, service: Service | undefined, secretOf: SecretOf): Outcome {
  const all = [ingress, service].flatMap((object) =>
    ofLogin(object?.metadata.annotations).map(([key, text]) => [key, { text, object }] as const),
  );
  const given = new Map(all);
  const name = (key: string): string => {
    const of =
      service !== undefined && given.get(key)?.object === service ? ` of Service ${service.metadata.name}` : "";
    return `${prefix}${key}${of}`;
  };
  /** What the annotation says, or what `usual` would. */
  const part = <Value>(key: string, usual: string, read: (text: string) => Value): Value => {
    try {
      return read(given.get(key)?.text ?? usual);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const reason = error instanceof WithoutSecret ? error.reason : "InvalidAnnotation";
      throw new Unfit(reason, `${name(key)}: ${error.message}`);
    }
  };
  try {
    const type = part("type", "none", oneOf("none", "oidc", "cognito"));
    if (type === "none") return undefined;
    const about = part(`idp-${type}`, "", (text) => {
      if (type === "cognito") return cognitoOf(cognitoFields(text));
      return oidcOf(oidcFields(text), secretOf);
    });
    return {
      ...about,
      otherwise: part("on-unauthenticated-request", "authenticate", oneOf("authenticate", "allow", "deny")),
      scope: part("scope", "openid", matching(/^\S+( \S+)*$/, "claims divided by blanks, such as openid email")),
      cookie: part("session-cookie", usualCookie, matching(/^[\w!#$%&'*+.^`|~-]+$/, "a cookie's name")),
      sessionSeconds: part("session-timeout", String(sessionSecondsMax), (text) =>
        wholeNumber(text, "it", 1, sessionSecondsMax),
      ),
    };
  } catch (error) {
    if (error instanceof Unfit) return { reason: error.reason, problem: error.message };
    throw error;
  }
}

/** The Secret is missing, or something in it. */
class WithoutSecret extends Refused {
  readonly reason: "SecretNotFound" | "SecretInvalid";

  constructor(reason: WithoutSecret["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** A whole sentence about an annotation. */
class Unfit extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

const oneOf =
  <Word extends string>(...words: readonly Word[]) =>
  (text: string): Word => {
    const word = words.find((each) => each === text);
    if (word !== undefined) return word;
    throw new Refused(`it must be one of ${words.join(", ")}, not "${text}"`);
  };

const matching =
  (pattern: RegExp, expected: string) =>
  (text: string): string => {
    if (pattern.test(text)) return text;
    throw new Refused(`it must be ${expected}, not "${text}"`);
  };

function fieldsIn(text: string, form: string): Fields {
  if (text === "") throw new Refused(`it is missing, though auth-type asks for it: JSON with ${form}`);
  return loweredHere(fieldsOf(jsonOf(text), `JSON with ${form}`));
}

const oidcFields = (text: string): Fields =>
  fieldsIn(text, "issuer, authorizationEndpoint, tokenEndpoint, userInfoEndpoint and secretName");
const cognitoFields = (text: string): Fields => fieldsIn(text, "userPoolARN, userPoolClientID and userPoolDomain");

/** A field by its name in the annotation. */
function wordOf(fields: Fields, name: string): string {
  const word = textOf(fields[name.toLowerCase()]) ?? "";
  if (word !== "") return word;
  throw new Refused(`${name} is missing`);
}

const secretNameOf = (fields: Fields): string => wordOf(fields, "secretName");

function urlOf(fields: Fields, name: string): string {
  const text = wordOf(fields, name);
  if (/^https:\/\/[^/\s]+\S*$/.test(text) && URL.canParse(text)) return text;
  throw new Refused(`${name} must be a whole URL that begins with https://, not "${text}"`);
}

type About = Pick<Login, "provider" | "parameters">;

function cognitoOf(fields: Fields): About {
  const userPoolArn = wordOf(fields, "userPoolARN");
  if (!/^arn:[\w-]+:cognito-idp:[\w-]+:\d+:userpool\/\S+$/.test(userPoolArn))
    throw new Refused(`userPoolARN must be the ARN of a user pool, not "${userPoolArn}"`);
  const [clientId, domain] = [wordOf(fields, "userPoolClientID"), wordOf(fields, "userPoolDomain")];
  return { provider: { kind: "cognito", userPoolArn, clientId, domain }, ...parametersOf(fields) };
}

function oidcOf(fields: Fields, secretOf: SecretOf): About {
  const urls = {
    issuer: urlOf(fields, "issuer"),
    authorizationEndpoint: urlOf(fields, "authorizationEndpoint"),
    tokenEndpoint: urlOf(fields, "tokenEndpoint"),
    userInfoEndpoint: urlOf(fields, "userInfoEndpoint"),
  };
  const name = secretNameOf(fields);
  const secret = secretOf(name);
  if (!secret) throw new WithoutSecret("SecretNotFound", `Secret ${name} isn't there`);
  const { data = {}, metadata } = secret;
  const text = (key: string) => Buffer.from(data[key] ?? "", "base64").toString();
  // The controller's first versions spelled it so.
  const clientId = (text("clientID") || text("clientId")).trimEnd();
  const clientSecret = text("clientSecret");
  const missing = clientId === "" ? "clientID" : clientSecret === "" ? "clientSecret" : undefined;
  if (missing !== undefined) throw new WithoutSecret("SecretInvalid", `Secret ${name} has no ${missing}`);
  const secretVersion = `${metadata.uid ?? ""}/${metadata.resourceVersion ?? ""}`;
  const provider = { kind: "oidc", ...urls, clientId, clientSecret: new Sealed(clientSecret), secretVersion } as const;
  return { provider, ...parametersOf(fields) };
}

function parametersOf(fields: Fields): Pick<Login, "parameters"> {
  const given = fields["authenticationrequestextraparams"];
  if (given === undefined || given === null) return {};
  const entries = Object.entries(fieldsOf(given, "an object of authenticationRequestExtraParams"));
  if (entries.length > parametersMax)
    throw new Refused(`authenticationRequestExtraParams has more than ${parametersMax} entries`);
  return { parameters: Object.fromEntries(entries.map(([key, value]) => [key, textOf(value) ?? ""])) };
}
