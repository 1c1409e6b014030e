import type { KindRules } from "./kind-rules.ts";

/** Rules by the type's name in the table; kinds without an entry have none beyond their structure and metadata. */
export const kindRules: Readonly<Record<string, KindRules>> = {};
