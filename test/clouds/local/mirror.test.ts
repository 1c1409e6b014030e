import { expect, test } from "vitest";
import { DroverError } from "../../../src/base/errors.ts";
import { archivesOf, explainKeys, parseLines, parseStanzas } from "../../../src/clouds/local/mirror.ts";

test("the one-line format: Debian's archives with a main component, with their keyring", () => {
  const text = `# deb http://old.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/own.gpg] http://mirror.example/debian bookworm main contrib
deb http://mirror.example/debian-security bookworm-security main
deb-src http://mirror.example/debian bookworm main
deb http://tools.example/apt stable tools
deb http://archive.ubuntu.com/ubuntu noble main`;
  expect(parseLines(text)).toEqual([
    { uri: "http://mirror.example/debian", suite: "bookworm", signedBy: "/usr/share/keyrings/own.gpg" },
    { uri: "http://mirror.example/debian-security", suite: "bookworm-security" },
  ]);
});

test("stanzas: every suite of every address, disabled ones and binaries of others left out", () => {
  const text = `Types: deb deb-src
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: trixie
Components: main

Types: deb
URIs: https://deb.node.example/node_20.x
Suites: nodistro
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----`;
  const signedBy = "/usr/share/keyrings/debian-archive-keyring.gpg";
  expect(parseStanzas(text)).toEqual([
    { uri: "http://mirror.example/debian", suite: "trixie", signedBy },
    { uri: "http://mirror.example/debian", suite: "trixie-updates", signedBy },
  ]);
});

const debians = "/usr/share/keyrings/debian-archive-keyring.gpg";

test("on Ubuntu, which has no source of Debian's, the keyring goes with mmdebstrap's own choice", () => {
  expect(archivesOf(undefined, [], () => true)).toEqual({ sources: [], keyring: debians });
  expect(archivesOf(undefined, [], () => false)).toEqual({ sources: [] });
});

test("a source of the computer's is used for the guest's release, each suite with its keyring", () => {
  const found = [{ uri: "http://mirror.example/debian/", suite: "trixie", signedBy: "/etc/own.gpg" }];
  expect(archivesOf(undefined, found, () => true).sources).toEqual([
    "deb [signed-by=/etc/own.gpg] http://mirror.example/debian/ bookworm main",
    "deb [signed-by=/etc/own.gpg] http://mirror.example/debian/ bookworm-updates main",
    "deb [signed-by=/etc/own.gpg] http://mirror.example/debian-security bookworm-security main",
  ]);
  expect(archivesOf("http://other.example/debian", [], () => true).sources[0]).toBe(
    `deb [signed-by=${debians}] http://other.example/debian bookworm main`,
  );
});

test("a keyring that is older than the release is named, with the way to a newer one", () => {
  const failed = (text: string) => new DroverError("CLOUD_UNAVAILABLE", `mmdebstrap ended with 25: ${text}`);
  const old = failed("GPG error: http://mirror.example.org/debian bookworm InRelease: … NO_PUBKEY 6ED0E7B82643E131");
  expect(explainKeys(old)).toMatchObject({ code: "SETUP_MISSING", cause: old });
  expect(String(explainKeys(old))).toContain("https://packages.debian.org/bookworm/debian-archive-keyring");
  const other = failed("Could not connect to mirror.example.org:80");
  expect(explainKeys(other)).toBe(other);
});
