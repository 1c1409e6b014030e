// `npm run generate`: writes every generated file; with --check says which is out of date instead.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bootstrap, root } from "./bootstrap.mjs";

bootstrap();
const { typesFile } = await import("./generate-types.mjs");
const { errorsPage } = await import("../dist/cli/errors-page.js");
const { supportPage } = await import("../dist/cli/support-page.js");
const { policyParts, policyText } = await import("../dist/clouds/aws/policy.js");
const files = {
  "src/api/types.gen.ts": typesFile(),
  "docs/errors.md": errorsPage(),
  "docs/support.md": supportPage(),
  ...Object.fromEntries(policyParts.map((part) => [`infra/policy-${part}.json.tftpl`, policyText(part)])),
};
const stale = Object.entries(files).filter(([name, text]) => {
  try {
    return readFileSync(join(root, name), "utf8") !== text;
  } catch {
    return true;
  }
});
if (process.argv.includes("--check")) {
  for (const [name] of stale) console.error(`${name} is out of date: run \`npm run generate\``);
  process.exit(stale.length === 0 ? 0 : 1);
}
for (const [name, text] of stale) writeFileSync(join(root, name), text);
