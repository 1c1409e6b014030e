import { Command, type CommanderError } from "commander";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import { downCommand } from "./down.ts";
import { exitCodeOf } from "./exit.ts";
import { gcCommand } from "./gc.ts";
import { imageCommand } from "./image.ts";
import { policyCommand } from "./policy.ts";
import { explain, terminal } from "./print.ts";
import { pricesCommand } from "./refresh-prices.ts";
import { renderCommand } from "./render.ts";
import { serveCommand } from "./serve.ts";
import { setupCommand } from "./setup.ts";
import { versionText } from "./version.ts";

/** Commander's own way out: help and version are no failure, everything else is wrong usage. */
const exit = ({ exitCode }: CommanderError): never => process.exit(exitCode === 0 ? 0 : 2);

const program = new Command("drover")
  .description("Kubernetes manifests in, virtual machines out. No cluster underneath.")
  .version(versionText(), "-V, --version", "print drover's version")
  .showHelpAfterError("(see `drover help`)")
  .exitOverride(exit);

for (const command of [
  serveCommand,
  demoCommand,
  renderCommand,
  imageCommand,
  gcCommand,
  downCommand,
  doctorCommand,
  policyCommand,
  pricesCommand,
  setupCommand,
]) {
  program.addCommand(command().exitOverride(exit));
}

program.parseAsync().catch((error: unknown) => {
  terminal().say(explain(error));
  process.exit(exitCodeOf(error));
});
