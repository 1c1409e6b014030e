import { kubectl } from "../../clients/kubectl.ts";
import { installMoto } from "../moto/server.ts";
import { checkNamespace } from "./namespace.ts";

/** What the rig's namespaces, which lead nowhere, can't fetch. */
export default async function setup(): Promise<void> {
  await checkNamespace();
  await Promise.all([kubectl("1.36"), installMoto()]);
}
