import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that boot machines of their own on emulated processors: side by side each would take twice as long. */
const [first, later] = ["test/aws/rig/machines.test.ts", "test/e2e/local.test.ts"];
/** The share of the other files that are begun before the second of them. */
const between = 0.25;

/** The usual order of the test files, but for those that want the whole computer: never two of them at once. */
export class Order extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const named = (name: string) => sorted.filter(({ moduleId }) => moduleId.endsWith(name));
    const others = sorted.filter((file) => ![...named(first), ...named(later)].includes(file));
    const begun = Math.ceil(others.length * between);
    return [...named(first), ...others.slice(0, begun), ...named(later), ...others.slice(begun)];
  }
}
