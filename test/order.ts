import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that last: each with the share of the other files that are begun before it. Those that boot machines on emulated
 * processors, and the one with a hundred machines, would slow each other down; beside them goes what only computes.
 */
const places: readonly (readonly [name: string, share: number])[] = [
  ["test/aws/rig/machines.test.ts", 0],
  ["test/sim/seeds-1-to-100.test.ts", 0],
  ["test/aws/rig/kubectl.test.ts", 0.42],
  ["test/sim/seeds-101-to-200.test.ts", 0.45],
  ["test/e2e/local.test.ts", 0.6],
  ["test/aws/crash.test.ts", 0.7],
  ["test/clouds/local/guest.test.ts", 0.95],
];

/** The usual order of the test files, but for those that last, and those that share a process. */
export class Order extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const shareOf = ({ moduleId }: TestSpecification) => places.find(([name]) => moduleId.endsWith(name))?.[1];
    // A process is shared by files that follow each other.
    const shared = sorted.filter(({ project }) => !project.config.isolate);
    const others = sorted.filter((file) => file.project.config.isolate && shareOf(file) === undefined);
    const placed = sorted
      .filter((file) => !shared.includes(file))
      .map((file) => ({ file, share: shareOf(file) ?? others.indexOf(file) / others.length }))
      .sort((a, b) => a.share - b.share || Number(others.includes(a.file)) - Number(others.includes(b.file)))
      .map(({ file }) => file);
    const first = placed.filter((file) => shareOf(file) === 0);
    const rest = placed.filter((file) => !first.includes(file));
    return [first, shared, rest].flat();
  }
}
