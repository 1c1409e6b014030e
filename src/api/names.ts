/**
 * The forms of names in the API. Every check answers with complaints in the words of Kubernetes, none for a good name.
 */
type Check = (value: string) => string[];

const characters = (max: number): string => `must be no more than ${max} characters`;
const bytesAtMost = (max: number): string => `must be no more than ${max} bytes`;
/** Go's way to list examples keeps two spaces after every comma. */
const form = (rule: string, pattern: string, ...examples: string[]): string =>
  `${rule} (e.g. ${examples.map((example) => `'${example}'`).join(",  or ")}, regex used for validation is '${pattern}')`;

const label1123 = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const label1123Form = new RegExp(`^${label1123}$`);
const label1123Rule = form(
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with " +
    "an alphanumeric character",
  label1123,
  "my-name",
  "123-abc",
);
const subdomain1123 = `${label1123}(\\.${label1123})*`;
const subdomain1123Form = new RegExp(`^${subdomain1123}$`);
const subdomain1123Rule = form(
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and " +
    "end with an alphanumeric character",
  subdomain1123,
  "example.com",
);
const wildcard = `\\*\\.${subdomain1123}`;
const wildcardForm = new RegExp(`^${wildcard}$`);
const wildcardRule = form(
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower " +
    "case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
  wildcard,
  "*.example.com",
);
const qualified = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const qualifiedForm = new RegExp(`^${qualified}$`);
const qualifiedRule = form(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  qualified,
  "MyName",
  "my.name",
  "123-abc",
);
const value = `(${qualified})?`;
const valueForm = new RegExp(`^${value}$`);
const valueRule = form(
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and " +
    "end with an alphanumeric character",
  value,
  "MyValue",
  "my_value",
  "12345",
);

/** At most 63 of `a-z0-9-`. */
export const dnsLabel: Check = (name) => {
  const problems = name.length > 63 ? [characters(63)] : [];
  if (label1123Form.test(name)) return problems;
  return [...problems, subdomain1123Form.test(name) ? "must not contain dots" : label1123Rule];
};

/** Labels joined by dots, at most 253 characters. */
export const dnsSubdomain: Check = (name) => [
  ...(name.length > 253 ? [characters(253)] : []),
  ...(subdomain1123Form.test(name) ? [] : [subdomain1123Rule]),
];

/** A subdomain whose first label is `*`. */
export const wildcardSubdomain: Check = (name) => (wildcardForm.test(name) && name.length <= 253 ? [] : [wildcardRule]);

/** A name that stands in a path as it is. */
export const pathSegment: Check = (name) => {
  if (name === "." || name === "..") return [`may not be '${name}'`];
  return ["/", "%"].filter((sign) => name.includes(sign)).map((sign) => `may not contain '${sign}'`);
};

/** `[prefix/]name`: keys of labels and annotations, names of resources and finalizers. */
export const qualifiedName: Check = (text) => {
  const parts = text.split("/");
  if (parts.length > 2) {
    const rest = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
    return [`a valid label key ${qualifiedRule}${rest}`];
  }
  const [prefix, name = ""] = parts.length === 2 ? parts : [undefined, text];
  const problems: string[] = [];
  if (prefix === "") problems.push("prefix part must be non-empty");
  else if (prefix !== undefined) problems.push(...dnsSubdomain(prefix).map((why) => `prefix part ${why}`));
  if (name === "") problems.push("name part must be non-empty");
  else if (name.length > 63) problems.push(`name part ${bytesAtMost(63)}`);
  if (!qualifiedForm.test(name)) problems.push(`name part ${qualifiedRule}`);
  return problems;
};

export const labelValue: Check = (text) => [
  ...(text.length > 63 ? [bytesAtMost(63)] : []),
  ...(valueForm.test(text) ? [] : [valueRule]),
];

/** Names of ports: at most 15 characters, a letter among them, no two hyphens in a row. */
export const portName: Check = (name) => {
  const problems: string[] = [];
  if (name.length > 15) problems.push(characters(15));
  if (!/^[-a-z0-9]+$/i.test(name) || /[A-Z]/.test(name)) {
    problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(name)) problems.push("must contain at least one letter (a-z)");
  if (name.includes("--")) problems.push("must not contain consecutive hyphens");
  if (/^-|-$/.test(name)) problems.push("must not begin or end with a hyphen");
  return problems;
};

export const envName: Check = (name) =>
  /^[\x20-\x3c\x3e-\x7e]+$/.test(name)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];

/** Keys of ConfigMaps and Secrets. */
export const configKey: Check = (key) => {
  if (key.length > 253) return [characters(253)];
  if (key === "." || key === "..") return [`must not be '${key}'`];
  if (key.startsWith("..")) return ["must not start with '..'"];
  if (/^[-._a-zA-Z0-9]+$/.test(key)) return [];
  const rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
  return [form(rule, "[-._a-zA-Z0-9]+", "key.name", "KEY_NAME", "key-name")];
};

export const port: (number: number) => string[] = (number) =>
  number >= 1 && number <= 65_535 ? [] : ["must be between 1 and 65535, inclusive"];
