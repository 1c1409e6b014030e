import { isIPv4 } from "node:net";
import { DroverError } from "../base/errors.ts";

const timeoutMs = 10_000;

/** The IPv4 address by which the internet sees this computer. @throws SETUP_MISSING: nobody says it */
export async function ownAddress(url = "https://checkip.amazonaws.com/"): Promise<string> {
  const said = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })
    .then((answer) => answer.text())
    .catch((error: unknown) => `${error}`);
  const address = said.trim();
  if (isIPv4(address)) return address;
  throw new DroverError(
    "SETUP_MISSING",
    `${url} does not say by which address AWS sees this computer (${address.slice(0, 100)}): say who may open SSH to the machines with --operator-cidr ADDRESS/32.`,
  );
}
