import type { Action } from "@aws-sdk/client-elastic-load-balancing-v2";
import { DroverError } from "../../base/errors.ts";
import type { Login } from "../balancer.ts";
import type { Send } from "./api.ts";
import { awsCodeOf } from "./errors.ts";

/** Actions of application load balancers that have clients log in first. */

export function loginAction({ provider, otherwise, scope, cookie, sessionSeconds, parameters }: Login): Action {
  const common = {
    OnUnauthenticatedRequest: otherwise,
    Scope: scope,
    SessionCookieName: cookie,
    SessionTimeout: sessionSeconds,
    ...(parameters && { AuthenticationRequestExtraParams: { ...parameters } }),
  };
  if (provider.kind === "cognito") {
    const { userPoolArn: UserPoolArn, clientId: UserPoolClientId, domain: UserPoolDomain } = provider;
    return {
      Type: "authenticate-cognito",
      AuthenticateCognitoConfig: { UserPoolArn, UserPoolClientId, UserPoolDomain, ...common },
    };
  }
  return {
    Type: "authenticate-oidc",
    AuthenticateOidcConfig: {
      Issuer: provider.issuer,
      AuthorizationEndpoint: provider.authorizationEndpoint,
      TokenEndpoint: provider.tokenEndpoint,
      UserInfoEndpoint: provider.userInfoEndpoint,
      ClientId: provider.clientId,
      ClientSecret: provider.clientSecret.open(),
      ...common,
    },
  };
}

/** The same text for logins that are alike, but for the client's secret: AWS never gives it back. */
export function loginText({ Type, AuthenticateOidcConfig, AuthenticateCognitoConfig }: Action): string {
  const { ClientSecret: _secret, UseExistingClientSecret: _kept, ...oidc } = AuthenticateOidcConfig ?? {};
  const { AuthenticationRequestExtraParams: parameters, ...fields } = { ...AuthenticateCognitoConfig, ...oidc };
  return `${Type} ${sorted(fields)} ${sorted(parameters ?? {})}`;
}

export const sorted = (fields: object): string =>
  Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(" ");

/** AWS may repeat in its message what it doesn't like; a secret is nothing for those who read Events. */
export const hidingSecrets =
  (send: Send): Send =>
  (service, command, options) =>
    send(service, command, options).catch((error: unknown) => {
      throw withoutSecrets(error, command.input);
    });

function withoutSecrets(error: unknown, input: { Actions?: Action[]; DefaultActions?: Action[] }): unknown {
  const actions = [...(input.Actions ?? []), ...(input.DefaultActions ?? [])];
  const secrets = actions.flatMap(({ AuthenticateOidcConfig }) => AuthenticateOidcConfig?.ClientSecret ?? []);
  if (secrets.length === 0 || !(error instanceof DroverError)) return error;
  const words = [error, error.cause].map((each) => (each instanceof Error ? each.message : "")).join(" ");
  if (!secrets.some((secret) => words.includes(secret))) return error;
  const message = `${error.details["action"]} failed with ${awsCodeOf(error)}; AWS' words are left out, because they repeat the client's secret.`;
  return new DroverError(error.code, message, error.details);
}
