import { expect, test } from "vitest";
import { parseLines, parseStanzas } from "../../../src/clouds/local/mirror.ts";

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
