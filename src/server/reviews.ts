import { decodeObject } from "../api/decode.ts";
import { badRequest } from "../api/status.ts";
import { rfc3339 } from "../base/clock.ts";
import { negotiate, notAcceptable } from "./accept.ts";
import { serviceAccount, type User } from "./authenticate.ts";
import { type Attributes, allowed, rulesOf } from "./authorize.ts";
import type { Call } from "./call.ts";
import { sendValue } from "./reply.ts";
import { bodyOf } from "./request-body.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";
import { issuer, verifyToken } from "./tokens.ts";
import { managed } from "./virtual-kinds.ts";
import { writeOptions } from "./write.ts";

/** The parts of the bodies that are read here; each is decoded against the schema table first. */
type Spec = {
  resourceAttributes?: { [field in "verb" | "group" | "resource" | "subresource" | "namespace" | "name"]?: string };
  nonResourceAttributes?: { verb?: string; path?: string };
  user?: string;
  groups?: readonly string[];
  uid?: string;
  namespace?: string;
  token?: string;
  audiences?: readonly string[];
};

type Answer = (context: Context, user: User, spec: Spec, namespace: string) => object;

const userOf = ({ name, uid, groups, extra }: User) => ({
  username: name,
  ...(uid !== "" && { uid }),
  groups,
  ...(Object.keys(extra).length > 0 && { extra }),
});

function attributesOf(spec: Spec): Attributes {
  const { resourceAttributes: asked, nonResourceAttributes: path } = spec;
  if ((asked === undefined) === (path === undefined)) {
    throw badRequest("exactly one of nonResourceAttributes or resourceAttributes must be specified");
  }
  if (path !== undefined) return { verb: path.verb ?? "", path: path.path ?? "" };
  const { verb = "", group = "", resource = "", subresource = "", namespace = "", name = "" } = asked ?? {};
  return { verb, group, resource, subresource, namespace, name };
}

const mayI: Answer = ({ registry }, user, spec) => ({ allowed: allowed(user, attributesOf(spec), registry.view) });

const mayThey: Answer = ({ registry }, _, spec) => {
  const { user = "", groups = [], uid = "" } = spec;
  return { allowed: allowed({ name: user, uid, groups, extra: {} }, attributesOf(spec), registry.view) };
};

const whatMayI: Answer = ({ registry }, user, { namespace = "" }) => {
  const everything = { verbs: ["*"] };
  const rules = user.groups.includes("system:masters")
    ? [
        { ...everything, apiGroups: ["*"], resources: ["*"] },
        { ...everything, nonResourceURLs: ["*"] },
      ]
    : rulesOf(user, namespace, registry.view);
  const resourceRules = rules.filter((rule) => !("nonResourceURLs" in rule));
  const nonResourceRules = rules.filter((rule) => "nonResourceURLs" in rule);
  return { resourceRules, nonResourceRules, incomplete: false };
};

const whoseToken: Answer = ({ registry, identity, clock }, _, { token = "", audiences = [] }) => {
  const wanted = audiences.length > 0 ? audiences : [issuer];
  const nowMs = clock.wallMs();
  for (const audience of wanted) {
    const claims = verifyToken(identity.tokenPublicKey, token, nowMs, audience);
    const user = claims && serviceAccount(claims, registry.view);
    if (user !== undefined) return { authenticated: true, user: userOf(user), audiences: [audience] };
  }
  return { user: {}, error: "invalid bearer token" };
};

/** Answers a question that is put as an object: the object comes back with its status, and nothing is stored. */
const review =
  (answer: Answer) =>
  async (context: Context, call: Call, { kind, namespace }: Target) => {
    if (negotiate(call.request.headers.accept, false).as !== "object") throw notAcceptable();
    const { manager } = writeOptions(call, "CreateOptions");
    const { object } = decodeObject(kind, (await bodyOf(call, kind.kind)).value);
    const spec = (object.spec ?? {}) as Spec; // Decoded just now.
    const status = answer(context, call.user, spec, namespace);
    const asked = managed(kind, object, manager, context.clock.wallMs());
    await sendValue(call, 201, { ...asked, status });
  };

async function whoAmI(context: Context, call: Call, { kind }: Target): Promise<void> {
  if (negotiate(call.request.headers.accept, false).as !== "object") throw notAcceptable();
  writeOptions(call, "CreateOptions");
  await bodyOf(call, kind.kind);
  const metadata = { creationTimestamp: rfc3339(context.clock.wallMs()) };
  const status = { userInfo: userOf(call.user) };
  await sendValue(call, 201, { kind: kind.kind, apiVersion: kind.apiVersion, metadata, status });
}

/** Kinds that are questions and not things, by `apiVersion/Kind`. */
export const reviews: Readonly<Record<string, (context: Context, call: Call, target: Target) => Promise<void>>> = {
  "authorization.k8s.io/v1/SelfSubjectAccessReview": review(mayI),
  "authorization.k8s.io/v1/SubjectAccessReview": review(mayThey),
  "authorization.k8s.io/v1/LocalSubjectAccessReview": review(mayThey),
  "authorization.k8s.io/v1/SelfSubjectRulesReview": review(whatMayI),
  "authentication.k8s.io/v1/TokenReview": review(whoseToken),
  "authentication.k8s.io/v1/SelfSubjectReview": whoAmI,
};
