import { Command } from "commander";
import { demoCommand } from "./demo.ts";
import { exitCodeOf } from "./exit.ts";
import { gcCommand } from "./gc.ts";
import { imageCommand } from "./image.ts";
import { explain, terminal } from "./print.ts";
import { renderCommand } from "./render.ts";
import { serveCommand } from "./serve.ts";
import { setupCommand } from "./setup.ts";
import { versionText } from "./version.ts";

const program = new Command("drover")
  .description("Kubernetes manifests in, virtual machines out. No cluster underneath.")
  .version(versionText(), "-V, --version", "print drover's version")
  .showHelpAfterError("(see `drover help`)")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

for (const command of [serveCommand, demoCommand, renderCommand, imageCommand, gcCommand, setupCommand]) {
  program.addCommand(command());
}

program.parseAsync().catch((error: unknown) => {
  terminal().say(explain(error));
  process.exit(exitCodeOf(error));
});
