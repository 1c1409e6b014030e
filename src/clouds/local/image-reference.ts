import { DroverError } from "../../base/errors.ts";

/** An image's whole name, as `docker.io/library/nginx` and `1.20.1`. */
export type ImageReference = { repository: string; tag: string };

/**
 * The whole name that a manifest's short one means: Docker's own registry and library, and the tag `latest`.
 * @throws USAGE for what names no image that can be loaded
 */
export function parseReference(text: string): ImageReference {
  const refuse = (why: string): never => {
    throw new DroverError("USAGE", `${text} can't be the name of a loaded image: ${why}.`);
  };
  if (text.includes("@")) refuse("a digest can't be given to an image, only a tag");
  const slash = text.indexOf("/");
  const host = slash < 0 ? "" : text.slice(0, slash);
  const hosted = /[.:]/.test(host) || host === "localhost";
  if (host.includes(":")) refuse("a registry with a port has no mirror");
  const registry = hosted ? host : "docker.io";
  const path = hosted ? text.slice(slash + 1) : slash < 0 ? `library/${text}` : text;
  const colon = path.indexOf(":");
  const folder = colon < 0 ? path : path.slice(0, colon);
  const tag = colon < 0 ? "latest" : path.slice(colon + 1);
  if (!/^[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/.test(folder)) {
    refuse("the name is lower-case letters and digits, with dots, dashes and underscores between them");
  }
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(tag)) refuse(`${tag} is no tag`);
  return { repository: `${registry}/${folder}`, tag };
}
