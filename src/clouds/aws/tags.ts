import { DroverError } from "../../base/errors.ts";
import type { Claim, Launch, Owner } from "../cloud.ts";

/** What AWS keeps of a resource beside it: the second memory of drover. */
export type Tags = Readonly<Record<string, string>>;

export const clusterTag = "drover.dev/cluster";
/** On what somebody else has made for the cluster and ends himself, Terraform for one: it is used and left. */
export const keptByTag = "drover.dev/kept-by";
/** On a volume whose owner lends it to the cluster: it may be attached and detached, and nothing else. */
export const lentTag = "drover.dev/attach";
export const launchTag = "drover.dev/launch";
export const templateTag = "drover.dev/template";
const ownerTag = "drover.dev/owner";
/** What the names of all Pods of a launch begin with. */
const prefixTag = "drover.dev/roster-prefix";
const rosterTag = "drover.dev/roster";
const reserved = "drover.dev/";

const tagsMax = 50;
const keyLengthMax = 127;
const valueLengthMax = 256;
const valueForm = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/** A UID of the usual form takes 22 characters instead of 36. */
const uidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const packUid = (uid: string): string =>
  uidForm.test(uid) ? Buffer.from(uid.replaceAll("-", ""), "hex").toString("base64url") : `@${uid}`;

function unpackUid(packed: string): string {
  if (packed.startsWith("@")) return packed.slice(1);
  const hex = Buffer.from(packed, "base64url").toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function commonPrefix(names: readonly string[]): string {
  const [first = "", ...others] = names;
  let length = first.length;
  for (const name of others) while (!name.startsWith(first.slice(0, length))) length--;
  return first.slice(0, length);
}

/** Words joined by spaces into as few values as they fit in, in order. */
function packed(words: readonly string[]): string[] {
  const values: string[] = [];
  for (const word of words) {
    const last = values.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= valueLengthMax) values[values.length - 1] += ` ${word}`;
    else values.push(word);
  }
  return values;
}

/** A long text over several tags: `key`, `key-1`, … */
export const spread = (key: string, text: string): [string, string][] =>
  Array.from({ length: Math.ceil(text.length / valueLengthMax) }, (_, index) => [
    index === 0 ? key : `${key}-${index}`,
    text.slice(index * valueLengthMax, (index + 1) * valueLengthMax),
  ]);

export function gathered(tags: Tags, key: string): string {
  let text = tags[key] ?? "";
  for (let index = 1; tags[`${key}-${index}`] !== undefined; index++) text += tags[`${key}-${index}`];
  return text;
}

/**
 * Tags of all machines of a launch; the launch index says which Pod of the roster one is for. Slots whose names find no
 * room in 50 tags (hundreds of characters each, with nothing in common) are left out: their machines carry no claim.
 */
export function launchTags(launch: Launch, common: Tags = {}): Tags {
  const { cluster, id, owner, template, names, slots } = launch;
  const prefix = commonPrefix(names);
  const fixed: Record<string, string> = {
    ...common,
    Name: `${cluster} ${owner.namespace}/${owner.name}`.slice(0, valueLengthMax),
    [clusterTag]: cluster,
    [launchTag]: id,
    [templateTag]: template.hash,
    ...Object.fromEntries(spread(ownerTag, `${owner.namespace}/${owner.kind}/${owner.name}`)),
    ...(prefix !== "" && { [prefixTag]: prefix }),
  };
  const words = slots.map((uid, slot) => {
    const word = `${(names[slot] ?? "").slice(prefix.length)}=${packUid(uid)}`;
    return word.length > valueLengthMax ? "=" : word;
  });
  const room = tagsMax - Object.keys(fixed).length;
  const roster = packed(words).slice(0, room);
  return { ...fixed, ...Object.fromEntries(roster.map((value, index) => [`${rosterTag}-${index}`, value])) };
}

function ownerOf(tags: Tags): Owner | undefined {
  const [namespace, kind, ...name] = gathered(tags, ownerTag).split("/");
  return namespace && kind && name.length > 0 ? { namespace, kind, name: name.join("/") } : undefined;
}

/** Whom the machine of this slot serves, or undefined where its tags don't say so (any more). */
export function claimOf(tags: Tags, slot: number): Claim | undefined {
  const words: string[] = [];
  for (let index = 0; tags[`${rosterTag}-${index}`] !== undefined; index++) {
    words.push(...(tags[`${rosterTag}-${index}`] ?? "").split(" "));
  }
  const [rest, uid] = words[slot]?.split("=") ?? [];
  const owner = ownerOf(tags);
  const templateHash = tags[templateTag];
  const podName = (tags[prefixTag] ?? "") + (rest ?? "");
  if (podName === "" || !uid || !owner || !templateHash) return undefined;
  return { owner, templateHash, podName, podUid: unpackUid(uid) };
}

/** In the form of the SDK, in the order of their keys, so that a repeated call is the same call. */
export const tagList = (tags: Tags): { Key: string; Value: string }[] =>
  Object.entries(tags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([Key, Value]) => ({ Key, Value }));

export const tagsOf = (list: readonly { Key?: string | undefined; Value?: string | undefined }[] = []): Tags =>
  Object.fromEntries(list.map(({ Key = "", Value = "" }) => [Key, Value]));

/** The user's own tags on everything. @throws CLOUD_INVALID: names the tag that AWS or drover can't take */
export function checkUserTags(tags: Tags): Tags {
  const refuse = (key: string, why: string) => {
    throw new DroverError("CLOUD_INVALID", `The tag "${key}" can't be set: ${why}.`, { tag: key });
  };
  for (const [key, value] of Object.entries(tags)) {
    if (key === "" || key.length > keyLengthMax) refuse(key, `a key has 1 to ${keyLengthMax} characters`);
    if (/^aws:/i.test(key)) refuse(key, "`aws:` belongs to AWS");
    if (key.startsWith(reserved) || key === "Name") refuse(key, "drover sets it itself");
    if (value.length > valueLengthMax) refuse(key, `a value has at most ${valueLengthMax} characters`);
    if (!valueForm.test(key) || !valueForm.test(value)) refuse(key, "letters, digits, spaces and _.:/=+-@ are allowed");
  }
  const userTagsMax = 20;
  if (Object.keys(tags).length > userTagsMax) {
    throw new DroverError(
      "CLOUD_INVALID",
      `At most ${userTagsMax} tags of your own are possible; drover needs the rest.`,
    );
  }
  return tags;
}
