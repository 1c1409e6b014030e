import { Command, Option } from "commander";
import { clusterName } from "./home.ts";
import { terminal } from "./print.ts";

type Options = { part: "look" | "change"; cluster: string; createZone: boolean } & Record<string, string | boolean>;

/** Prints the IAM policy, for those who don't use the Terraform module. */
export const policyCommand = (): Command =>
  new Command("policy")
    .description(
      "Print the IAM policy that drover on AWS needs and no more. It comes in two parts; both are needed. Reaches no cloud.",
    )
    .addOption(
      new Option("--part <part>", "what lets drover look, or what lets it change things")
        .choices(["look", "change"])
        .makeOptionMandatory(),
    )
    .requiredOption("--account <id>", "AWS account, 12 digits")
    .requiredOption("--region <name>", "AWS region")
    .option("--cluster <name>", "the cluster that it is for", clusterName, "aws")
    .option("--zone <id>", "the private hosted zone's id; by default any zone", "*")
    .option("--partition <name>", "aws, aws-cn or aws-us-gov", "aws")
    .option("--create-zone", "also what `drover serve --create-zone` takes", false)
    .action(async ({ part, createZone, ...words }: Options) => {
      const { policyText } = await import("../clouds/aws/policy.ts");
      terminal().out(policyText(part, words as Record<string, string>, createZone).trimEnd());
    });
