import { Command } from "commander";
import { prepareLocal } from "./prepare-local.ts";
import { terminal } from "./print.ts";

/** Makes this computer ready for machines: packages (asking once for sudo where it isn't root), images and tools. */
export const setupCommand = (): Command =>
  new Command("setup")
    .description("Install what virtual machines on this computer need (QEMU and friends). Done already: says so.")
    .option("-y, --yes", "don't ask", false)
    .action(async ({ yes }: { yes: boolean }) => {
      const io = terminal();
      await prepareLocal(io, yes);
      io.say("set-up is complete");
    });
