import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that boot machines on emulated processors, which would slow each other down: each with the share of the other
 * files that are begun before it.
 */
const places: readonly (readonly [name: string, share: number])[] = [
  ["test/aws/rig/machines.test.ts", 0],
  ["test/e2e/local.test.ts", 0.45],
  ["test/clouds/local/guest.test.ts", 0.9],
];

/** The usual order of the test files, but for those that want the whole computer, and those that share a process. */
export class Order extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const shareOf = ({ moduleId }: TestSpecification) => places.find(([name]) => moduleId.endsWith(name))?.[1];
    // A process is shared by files that follow each other.
    const shared = sorted.filter(({ project }) => !project.config.isolate);
    const others = sorted.filter((file) => file.project.config.isolate && shareOf(file) === undefined);
    const placed = sorted
      .filter((file) => !shared.includes(file))
      .map((file) => ({ file, share: shareOf(file) ?? others.indexOf(file) / others.length }));
    const [first = [], ...rest] = placed
      .sort((a, b) => a.share - b.share || Number(others.includes(a.file)) - Number(others.includes(b.file)))
      .map(({ file }) => file);
    return [first, shared, rest].flat();
  }
}
