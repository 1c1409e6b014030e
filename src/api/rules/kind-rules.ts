import type { KubeObject } from "../object.ts";
import type { FieldProblem } from "../status.ts";

/**
 * What a kind's own file adds to its structure. Objects have been decoded and defaulted, so they have their type's
 * form. Without `update`, an update is held to the same rules as a creation.
 */
export type KindRules = {
  create?: (object: KubeObject) => FieldProblem[];
  update?: (next: KubeObject, old: KubeObject) => FieldProblem[];
  subresource?: (next: KubeObject, old: KubeObject, subresource: string) => FieldProblem[];
  warnings?: (object: KubeObject, old?: KubeObject) => string[];
};

type RulesOf<Shape> = {
  create?: (object: Shape) => FieldProblem[];
  update?: (next: Shape, old: Shape) => FieldProblem[];
  subresource?: (next: Shape, old: Shape, subresource: string) => FieldProblem[];
  warnings?: (object: Shape, old?: Shape) => string[];
};

/** Rules written against a kind's shape, for objects that decoding has given that shape. */
export const rulesFor = <Shape>(rules: RulesOf<Shape>): KindRules => rules as unknown as KindRules;
