import { AwsError, invalidValue } from "./errors.ts";

export type Tags = Map<string, string>;
/** The SDK's form. */
export type TagInput = { Key?: string | undefined; Value?: string | undefined };

/** §2 of the AWS facts. */
const tagsMax = 50;
const keyLengthMax = 127;
const valueLengthMax = 256;

/** Adds to `tags`, or throws and changes nothing. */
export function addTags(tags: Tags, added: readonly TagInput[]): void {
  const next = new Map(tags);
  for (const { Key: key = "", Value: value = "" } of added) {
    if (key.startsWith("aws:")) throw invalidValue("Tag keys starting with 'aws:' are reserved for internal use");
    if (key === "" || key.length > keyLengthMax)
      throw invalidValue(`Tag key exceeds the maximum length of ${keyLengthMax} characters`);
    if (value.length > valueLengthMax)
      throw invalidValue(`Tag value exceeds the maximum length of ${valueLengthMax} characters`);
    next.set(key, value);
  }
  if (next.size > tagsMax)
    throw new AwsError("TagLimitExceeded", `More than ${tagsMax} tags cannot be added to a resource`);
  for (const [key, value] of next) tags.set(key, value);
}

export function tagsFrom(given: readonly TagInput[] | undefined): Tags {
  const tags: Tags = new Map();
  const keys = (given ?? []).map(({ Key }) => Key);
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw invalidValue(`Duplicate tag key '${twice}' specified.`);
  addTags(tags, given ?? []);
  return tags;
}

type Specification = {
  ResourceType?: string | undefined;
  Tags?: readonly TagInput[] | undefined;
};

/** The tags of one kind of resource out of a call's TagSpecifications. */
export const tagsFor = (specifications: readonly Specification[] | undefined, kind: string): Tags =>
  tagsFrom(
    (specifications ?? []).filter(({ ResourceType }) => ResourceType === kind).flatMap(({ Tags }) => Tags ?? []),
  );

export const shownTags = (tags: Tags): { Key: string; Value: string }[] =>
  [...tags].map(([Key, Value]) => ({ Key, Value }));
