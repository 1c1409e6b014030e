import { AwsError } from "./errors.ts";

/** The SDK has a class for each of this service's codes, named `…Exception`; the wire's own code is in `Code`. */
export function elbError(code: string, message: string): AwsError {
  const error = new AwsError(code, message);
  return Object.assign(error, { name: `${code}Exception` });
}

/** Wrong parameters have no class of their own. */
export const validation = (message: string): AwsError => new AwsError("ValidationError", message);

/** The load balancers' API takes names and ARNs in twenties. */
export function checkCount(what: string, given: readonly unknown[] | undefined, max = 20): void {
  if ((given?.length ?? 0) > max) throw validation(`The number of ${what} exceeds the limit of ${max}`);
}

/** Letters, digits and hyphens, none of them at an end. */
export function checkName(what: string, name: string | undefined): string {
  if (name === undefined) throw validation(`The ${what} name is required`);
  if (name.length > 32) throw validation(`The ${what} name '${name}' cannot be longer than '32' characters`);
  if (!/^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/.test(name))
    throw validation(
      `The ${what} name '${name}' can only contain characters that are alphanumeric characters and hyphens(-)`,
    );
  return name;
}
