import { Command } from "commander";
import { systemClock } from "../base/clock.ts";
import { listImages, loadImage } from "../clouds/local/registry.ts";
import { homeFolder } from "./home.ts";
import { terminal } from "./print.ts";

/** The registry that local machines pull from before they ask anybody else. */
export const imageCommand = (): Command => {
  const image = new Command("image").description("Images for machines on this computer: load your own, list them.");
  image
    .command("load <archive>")
    .description("Put an OCI or docker archive into the machines' registry under a name.")
    .requiredOption("--name <reference>", "the name that manifests use, e.g. web:1")
    .action(async (archive: string, { name }: { name: string }) => {
      await loadImage({ home: homeFolder(), archive, reference: name, clock: systemClock });
      terminal().say(`loaded ${name}`);
    });
  image
    .command("list")
    .description("List the images in the machines' registry.")
    .action(async () => {
      for (const reference of await listImages({ home: homeFolder() })) terminal().out(reference);
    });
  return image;
};
