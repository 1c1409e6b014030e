import type { IncomingMessage } from "node:http";
import { badRequest } from "../api/status.ts";
import type { View } from "../registry/view.ts";
import type { User } from "./authenticate.ts";
import { type Attributes, allowed, refusal } from "./authorize.ts";

const accountPrefix = "system:serviceaccount:";

/**
 * The user that a request asks to be instead of its own (`kubectl --as`), or its own when it asks for none. Never
 * ignored: who asks for fewer rights must not go on with all of them. @throws 400, 403
 */
export function impersonated(request: IncomingMessage, user: User, view: View): User {
  const { headers, headersDistinct } = request;
  const asked = Object.keys(headers).filter((name) => name.startsWith("impersonate-"));
  if (asked.length === 0) return user;
  const name = headersDistinct["impersonate-user"]?.[0] ?? "";
  if (name === "") throw badRequest("requested impersonation without impersonating a user");
  const groups = headersDistinct["impersonate-group"] ?? [];
  const uid = headersDistinct["impersonate-uid"]?.[0] ?? "";
  const extra = Object.fromEntries(
    asked
      .filter((header) => header.startsWith("impersonate-extra-"))
      .map((header) => [decoded(header.slice("impersonate-extra-".length)), headersDistinct[header] ?? []]),
  );
  const [namespace, account] = name.startsWith(accountPrefix) ? name.slice(accountPrefix.length).split(":") : [];
  const wishes: Attributes[] = [
    account === undefined
      ? wish("", "users", name)
      : { ...wish("", "serviceaccounts", account), namespace: namespace ?? "" },
    ...groups.map((group) => wish("", "groups", group)),
    ...(uid === "" ? [] : [wish("authentication.k8s.io", "uids", uid)]),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((value) => ({ ...wish("authentication.k8s.io", "userextras", value), subresource: key })),
    ),
  ];
  for (const each of wishes) if (!allowed(user, each, view)) throw refusal(user, each);
  const own = account === undefined ? [] : ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];
  const isAnonymous = name === "system:anonymous" || groups.includes("system:unauthenticated");
  const given = groups.length > 0 ? groups : own;
  return { name, uid, groups: isAnonymous ? given : [...given, "system:authenticated"], extra };
}

const wish = (group: string, resource: string, name: string) => ({
  verb: "impersonate",
  group,
  resource,
  subresource: "",
  namespace: "",
  name,
});

function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
