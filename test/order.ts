import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that would slow each other down, or last long: each with the share of the others that are begun before it. */
const places: readonly (readonly [name: string, share: number])[] = [
  // They boot machines on emulated processors.
  ["test/aws/rig/machines.test.ts", 0],
  ["test/e2e/local.test.ts", 0.45],
  ["test/clouds/local/guest.test.ts", 0.9],
  // They compute for minutes.
  ["test/sim/seeds-1-to-100.test.ts", 0],
  ["test/sim/seeds-101-to-200.test.ts", 0],
  ["test/aws/crash.test.ts", 0],
];
const shareOf = ({ moduleId }: TestSpecification) => places.find(([name]) => moduleId.endsWith(name))?.[1];

/** The usual order of the test files, but for those that have a place of their own, and those that share a process. */
export class Order extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isShared = ({ project }: TestSpecification) => !project.config.isolate;
    // A process is shared by files that follow each other.
    return [...placed(sorted.filter(isShared)), ...placed(sorted.filter((file) => !isShared(file)))];
  }
}

function placed(files: TestSpecification[]): TestSpecification[] {
  const others = files.filter((file) => shareOf(file) === undefined);
  return files
    .map((file) => ({ file, share: shareOf(file) ?? others.indexOf(file) / others.length }))
    .sort((a, b) => a.share - b.share || Number(others.includes(a.file)) - Number(others.includes(b.file)))
    .map(({ file }) => file);
}
