import { DroverError } from "../../base/errors.ts";
import type { Answer, BalancerSpec, Condition, Listener, Login, Rule } from "../balancer.ts";
import { annotationOf, type BalancerSettings } from "./annotations.ts";

/** One listener's or rule's end: weights by target group name, an answer of its own, or (empty) a 404. */
export type Destination = {
  forward: readonly { name: string; weight: number }[];
  answer?: Answer;
  login?: Login;
  stickySeconds?: number;
};

export type PlannedRule = {
  hosts: readonly string[];
  paths: readonly string[];
  conditions?: readonly Condition[];
  destination: Destination;
};

export type PlannedListener = {
  port: number;
  protocol: Listener["protocol"] | "TCP_UDP";
  /** ARNs of ACM, the default first. */
  certificates: readonly string[];
  tlsPolicy?: string;
  alpnPolicy?: string;
  destination: Destination;
  /** Absent: of a network balancer. */
  rules?: readonly PlannedRule[];
};

/** Target groups' names by their ids in the spec. */
export type Names = ReadonlyMap<string, string>;
export type End = Pick<Rule, "forward" | "answer" | "login" | "stickySeconds">;

/** A weight means nothing where there is only one group; always the same then, so that nothing looks changed. */
export const destinationOf = ({ forward, answer, login, stickySeconds }: End, names: Names): Destination => ({
  forward: forward.flatMap(({ groupId, weight }) => {
    const name = names.get(groupId);
    return name === undefined ? [] : [{ name, weight: forward.length === 1 ? 1 : weight }];
  }),
  ...(answer && { answer }),
  ...(login && { login }),
  ...(stickySeconds !== undefined && forward.length > 1 && { stickySeconds }),
});

export const tlsOf = (tlsPolicy: string | undefined, alpnPolicy?: string) => ({
  ...(tlsPolicy === undefined ? {} : { tlsPolicy }),
  ...(alpnPolicy === undefined ? {} : { alpnPolicy }),
});

type Kind = Pick<BalancerSpec, "kind">;

export function invalid({ kind }: Kind, field: keyof BalancerSettings, message: string): DroverError {
  const annotation = annotationOf(kind, field) ?? field;
  return new DroverError("CLOUD_INVALID", `${annotation}: ${message}`, { annotation });
}
