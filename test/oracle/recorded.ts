import { readFileSync } from "node:fs";

/** One request as it was sent to kube-apiserver 1.36.3, `{ns}` standing for the namespace of its sequence. */
type Step = { method?: string; path: string; contentType?: string; accept?: string; body?: unknown };
/** The answer, with `<time>`, `<uid>` and the like where every run differs. */
type Answer = { status: number; body: Record<string, unknown>; warnings?: string[] };
export type Exchange = Step & { answer: Answer };
type Recorded = { name: string; steps: Step[]; expect: Answer[] };

const recorded: Recorded[] = JSON.parse(readFileSync(new URL("./recorded.json", import.meta.url), "utf8"));

/** The recorded sequences whose name matches, each with its exchanges in order. */
export const exchanges = (names: RegExp): { name: string; exchanges: Exchange[] }[] =>
  recorded
    .filter(({ name }) => names.test(name))
    .map(({ name, steps, expect }) => ({
      name,
      exchanges: steps.flatMap((step, index) => {
        const answer = expect[index];
        return answer ? [{ ...step, answer }] : [];
      }),
    }));
