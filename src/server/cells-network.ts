import { at, type Cell, conditionOf, entries, firstOf, list, number, text, textOr } from "./cells-values.ts";

const balancerAddresses = (value: unknown): string =>
  [...new Set(list(value).map((entry) => textOr(at(entry, "ip"), text(at(entry, "hostname")))))]
    .filter((address) => address !== "")
    .sort()
    .join(",");

const externalIp: Cell = (service) => {
  const external = list(at(service, "spec.externalIPs")).map(text).join(",");
  switch (at(service, "spec.type")) {
    case "ClusterIP":
    case "NodePort":
      return external || "<none>";
    case "LoadBalancer": {
      const addresses = balancerAddresses(at(service, "status.loadBalancer.ingress"));
      return [addresses, external].filter((part) => part !== "").join(",") || "<pending>";
    }
    case "ExternalName":
      return text(at(service, "spec.externalName"));
    default:
      return "<unknown>";
  }
};

const servicePorts: Cell = (service) =>
  list(at(service, "spec.ports"))
    .map((port) => {
      const nodePort = number(at(port, "nodePort"));
      return `${text(at(port, "port"))}${nodePort > 0 ? `:${nodePort}` : ""}/${text(at(port, "protocol"))}`;
    })
    .join(",") || "<none>";

const ingressHosts: Cell = (ingress) => {
  const rules = list(at(ingress, "spec.rules"));
  const hosts = rules.map((rule) => text(at(rule, "host"))).filter((host) => host !== "");
  if (hosts.length === 0) return "*";
  // The count is of the rules, those without a host too, as everybody is used to.
  return hosts.length > 3 ? `${hosts.slice(0, 3).join(",")} + ${rules.length - 3} more...` : hosts.join(",");
};

const address = (ip: string, port: unknown): string => {
  if (port === undefined) return ip;
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
};

const endpoints: Cell = (object) => {
  const texts = list(at(object, "subsets")).flatMap((subset) => {
    const ips = list(at(subset, "addresses")).map((one) => text(at(one, "ip")));
    const ports = list(at(subset, "ports")).map((port) => at(port, "port"));
    return (ports.length === 0 ? [undefined] : ports).flatMap((port) => ips.map((ip) => address(ip, port)));
  });
  return firstOf(texts, 3) || "<none>";
};

const slicePorts: Cell = (slice) =>
  firstOf(
    list(at(slice, "ports")).map((port) => textOr(at(port, "port"), textOr(at(port, "name"), "*"))),
    3,
  ) || "<unset>";

const sliceEndpoints: Cell = (slice) =>
  firstOf(
    list(at(slice, "endpoints")).flatMap((endpoint) => list(at(endpoint, "addresses")).map(text)),
    3,
  ) || "<unset>";

const parentReference: Cell = (object) => {
  const parent = at(object, "spec.parentRef");
  if (parent === undefined) return "<none>";
  const group = text(at(parent, "group"));
  const resource = text(at(parent, "resource"));
  const namespace = text(at(parent, "namespace"));
  const name = `${namespace === "" ? "" : `${namespace}/`}${text(at(parent, "name"))}`;
  return `${(group === "" ? resource : `${resource}.${group}`).toLowerCase()}/${name}`;
};

const parameters: Cell = (ingressClass) => {
  const reference = at(ingressClass, "spec.parameters");
  if (reference === undefined) return "<none>";
  const group = text(at(reference, "apiGroup"));
  return `${text(at(reference, "kind"))}${group === "" ? "" : `.${group}`}/${text(at(reference, "name"))}`;
};

const nodeStatus: Cell = (node) => {
  const status = at(conditionOf(at(node, "status.conditions"), "Ready"), "status");
  const word = status === undefined ? "Unknown" : status === "True" ? "Ready" : "NotReady";
  return at(node, "spec.unschedulable") === true ? `${word},SchedulingDisabled` : word;
};

const rolePrefix = "node-role.kubernetes.io/";
const nodeRoles: Cell = (node) => {
  const roles = entries(at(node, "metadata.labels")).flatMap(([key, value]) => {
    if (key.startsWith(rolePrefix)) return key.slice(rolePrefix.length);
    return key === "kubernetes.io/role" ? text(value) : "";
  });
  const named = roles.filter((role) => role !== "");
  return [...new Set(named)].sort().join(",") || "<none>";
};

const nodeAddress =
  (type: string): Cell =>
  (node) =>
    textOr(at(conditionOf(at(node, "status.addresses"), type), "address"), "<none>");

const kernel: Cell = (node) => {
  const architecture = text(at(node, "status.nodeInfo.architecture"));
  const version = textOr(at(node, "status.nodeInfo.kernelVersion"), "<unknown>");
  return architecture === "" ? version : `${version} (${architecture})`;
};

const apiService: Cell = (object) => {
  const service = at(object, "spec.service");
  return service === undefined ? "Local" : `${text(at(service, "namespace"))}/${text(at(service, "name"))}`;
};

const apiAvailable: Cell = (object) => {
  const condition = conditionOf(at(object, "status.conditions"), "Available");
  if (condition === undefined) return "Unknown";
  const [status, reason] = [text(at(condition, "status")), text(at(condition, "reason"))];
  return status === "True" || reason === "" ? status : `${status} (${reason})`;
};

/** Cells of Services, their endpoints, Ingresses, Nodes and APIServices, by the table's own words for them. */
export const networkCells: Readonly<Record<string, Cell>> = {
  svcExternalIP: externalIp,
  "svcPorts|<none>": servicePorts,
  "lbAddresses(status.loadBalancer.ingress)": (object) => balancerAddresses(at(object, "status.loadBalancer.ingress")),
  ingressHosts,
  'len(spec.tls)>0?"80, 443":"80"': (ingress) => (list(at(ingress, "spec.tls")).length > 0 ? "80, 443" : "80"),
  endpointsList: endpoints,
  "more(ports: port present?port:(name present?name:*),3)": slicePorts,
  "more(endpoints[].addresses[],3)": sliceEndpoints,
  "spec.parentRef?lower(resource[.group])/[namespace/]name:<none>": parentReference,
  "spec.parameters?kind[.apiGroup]/name:<none>": parameters,
  nodeStatus,
  "nodeRoles|<none>": nodeRoles,
  "status.addresses[type==InternalIP][0].address|<none>": nodeAddress("InternalIP"),
  "status.addresses[type==ExternalIP][0].address|<none>": nodeAddress("ExternalIP"),
  '(status.nodeInfo.kernelVersion|<unknown>)+(architecture?" (architecture)":"")': kernel,
  "spec.service?namespace/name:Local": apiService,
  'status.conditions[type==Available]?(status==True or reason==""?status:"status (reason)"):Unknown': apiAvailable,
};
