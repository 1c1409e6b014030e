import type { TestProject } from "vitest/node";
import { build } from "../bin/bootstrap.mjs";

/** The tests run drover compiled, in their own process and as a user does. */
export default function setup(project: TestProject): void {
  build();
  project.onTestsRerun(async () => build());
}
