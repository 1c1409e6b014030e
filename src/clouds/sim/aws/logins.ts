import type { Action } from "@aws-sdk/client-elastic-load-balancing-v2";
import { validation } from "./elb-errors.ts";

/** Actions that have clients log in before what comes after them. */

const sessionSecondsMax = 604_800;
const isLogin = ({ Type }: Action): boolean => Type === "authenticate-oidc" || Type === "authenticate-cognito";

/** @throws ValidationError */
export function checkLogins(protocol: string, actions: readonly Action[]): void {
  const logins = actions.filter(isLogin);
  const last = actions.length - logins.length;
  if (last !== 1) throw validation(`A rule must have exactly one action that ends it, but there are ${last}`);
  if (actions.length === 1) return;
  const orders = actions.map(({ Order }) => Order);
  if (orders.includes(undefined) || new Set(orders).size < orders.length)
    throw validation("An order must be specified for each action, and each must have its own");
  const ending = actions.find((action) => !isLogin(action));
  if (ending?.Order !== Math.max(...orders.map((order = 0) => order)))
    throw validation("The action that ends a rule must be the last one");
  for (const action of logins) checkLogin(protocol, action);
}

const needed = {
  "authenticate-oidc": [
    ...["Issuer", "AuthorizationEndpoint", "TokenEndpoint", "UserInfoEndpoint", "ClientId"],
    "ClientSecret",
  ],
  "authenticate-cognito": ["UserPoolArn", "UserPoolClientId", "UserPoolDomain"],
} as const;

function checkLogin(protocol: string, { Type, AuthenticateOidcConfig, AuthenticateCognitoConfig }: Action): void {
  if (protocol !== "HTTPS") throw validation(`Actions of type '${Type}' are supported only on HTTPS listeners`);
  const config: Readonly<Record<string, unknown>> = { ...AuthenticateCognitoConfig, ...AuthenticateOidcConfig };
  const missing = needed[Type as keyof typeof needed].find((name) => config[name] === undefined);
  if (missing !== undefined) throw validation(`The field '${missing}' of an action of type '${Type}' is required`);
  const seconds = Number(config["SessionTimeout"] ?? sessionSecondsMax);
  if (seconds < 1 || seconds > sessionSecondsMax)
    throw validation(`The session timeout '${seconds}' must be between 1 and ${sessionSecondsMax}`);
}

const defaults = {
  OnUnauthenticatedRequest: "authenticate",
  Scope: "openid",
  SessionCookieName: "AWSELBAuthSessionCookie",
  SessionTimeout: sessionSecondsMax,
} as const;

/** As AWS shows it: with its defaults, and without the secret. */
export function completedLogin(action: Action): Action {
  const { AuthenticateOidcConfig: oidc, AuthenticateCognitoConfig: cognito } = action;
  if (cognito) return { ...action, AuthenticateCognitoConfig: { ...defaults, ...cognito } };
  if (!oidc) return action;
  const { ClientSecret: _secret, ...shown } = oidc;
  return { ...action, AuthenticateOidcConfig: { ...defaults, ...shown } };
}
