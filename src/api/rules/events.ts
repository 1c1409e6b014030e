import { qualifiedName } from "../names.ts";
import { invalidValue, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { Event } from "../types.gen.ts";
import { rulesFor } from "./kind-rules.ts";

/** An Event lives where the object is that it is about; those about cluster-scoped objects in `default`. */
function oldEventProblems({ metadata, involvedObject }: Event): FieldProblem[] {
  const { namespace = "" } = metadata;
  const about = involvedObject.namespace ?? "";
  if (about === namespace || (about === "" && namespace === "default")) return [];
  return [invalidValue("involvedObject.namespace", about, "does not match event.namespace")];
}

export const oldEventRules = rulesFor<Event>({ create: oldEventProblems });

/** An Event of the newer version, as far as these rules look. */
type NewEvent = {
  eventTime: string | null;
  reportingController?: string;
  reportingInstance?: string;
  action?: string;
  reason?: string;
  note?: string;
  type?: string;
};

const textMax = 128;
const noteMax = 1024;

function newEventProblems(event: NewEvent): FieldProblem[] {
  const problems = event.eventTime === null ? [required("eventTime")] : [];
  const controller = event.reportingController ?? "";
  if (controller === "") problems.push(required("reportingController"));
  else for (const why of qualifiedName(controller)) problems.push(invalidValue("reportingController", controller, why));
  for (const name of ["reportingInstance", "action", "reason"] as const) {
    const text = event[name] ?? "";
    if (text === "") problems.push(required(name));
    if (text.length > textMax) problems.push(invalidValue(name, "", `can have at most ${textMax} characters`));
  }
  if ((event.note?.length ?? 0) > noteMax) {
    problems.push(invalidValue("message", "", `can have at most ${noteMax} characters`));
  }
  if (event.type !== "Normal" && event.type !== "Warning") {
    problems.push(invalidValue("type", "", `has invalid value: ${event.type ?? ""}`));
  }
  return problems;
}

export const newEventRules = rulesFor<NewEvent>({ create: newEventProblems, update: () => [] });
