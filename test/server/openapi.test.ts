import { expect, test } from "vitest";
import { kinds } from "../../src/api/kinds.ts";
import { openapi } from "../../src/server/openapi.ts";
import { openapiAnswer } from "../../src/server/openapi-answer.ts";

const documents = openapi([...kinds.values()]);
type Schema = Record<string, unknown> & { properties?: Record<string, Schema> };
const read = (path: string) => {
  const document = documents.document(path);
  if (!document) throw new Error(`no document for ${path}`);
  return JSON.parse(document.body.toString()) as {
    paths: Record<string, Record<string, { parameters: { name: string }[]; [field: string]: unknown }>>;
    components: { schemas: Record<string, Schema> };
  };
};

test("the index names every group by the hash of its document", () => {
  const { paths } = documents.index();
  expect(Object.keys(paths)).toContain("apis/apps/v1");
  expect(paths["api/v1"]?.serverRelativeURL).toMatch(/^\/openapi\/v3\/api\/v1\?hash=[0-9A-F]{128}$/);
});

test.for([...kinds.values()].filter(({ verbs }) => verbs.includes("patch")))(
  "$apiVersion $kind can be patched with field validation, which tells kubectl to trust the server",
  ({ group, version, kind, plural, namespaced }) => {
    const root = group === "" ? `api/${version}` : `apis/${group}/${version}`;
    const patch =
      read(root).paths[`/${root}/${namespaced ? "namespaces/{namespace}/" : ""}${plural}/{name}`]?.["patch"];
    expect(patch?.["x-kubernetes-group-version-kind"]).toEqual({ group, version, kind });
    expect(patch?.parameters.map(({ name }) => name)).toContain("fieldValidation");
  },
);

test.for(Object.keys(documents.index().paths))("%s refers to nothing that it lacks", (path) => {
  const document = read(path);
  const names = new Set(Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`));
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to);
  expect(references.filter((to) => !names.has(to ?? ""))).toEqual([]);
});

test("schemas carry kinds, list types, merge keys, defaults and closed sets", () => {
  const { schemas } = read("apis/apps/v1").components;
  expect(schemas["io.k8s.api.apps.v1.Deployment"]?.["x-kubernetes-group-version-kind"]).toEqual([
    { group: "apps", version: "v1", kind: "Deployment" },
  ]);
  const spec = schemas["io.k8s.api.core.v1.PodSpec"]?.properties;
  expect(spec?.["containers"]).toEqual({
    type: "array",
    items: { allOf: [{ $ref: "#/components/schemas/io.k8s.api.core.v1.Container" }], default: {} },
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "x-kubernetes-patch-merge-key": "name",
    "x-kubernetes-patch-strategy": "merge",
  });
  expect(spec?.["restartPolicy"]).toEqual({ type: "string", enum: ["Always", "Never", "OnFailure"] });
  const port = schemas["io.k8s.api.core.v1.ContainerPort"]?.properties;
  expect(port?.["protocol"]).toMatchObject({ type: "string", default: "TCP" });
  expect(port?.["containerPort"]).toEqual({ type: "integer", format: "int32", default: 0 });
  expect(schemas["io.k8s.api.apps.v1.DeploymentSpec"]?.["required"]).toEqual(["selector", "template"]);
});

test("documents are cached by their hash, and an old hash leads to the new one", () => {
  const path = "/openapi/v3/apis/apps/v1";
  const hash = documents.document("apis/apps/v1")?.hash;
  expect(openapiAnswer(documents, { path, hash: "OLD" })).toMatchObject({
    status: 301,
    headers: { location: `${path}?hash=${hash}` },
  });
  const found = openapiAnswer(documents, { path, hash });
  expect(found).toMatchObject({ status: 200, headers: { etag: `"${hash}"`, "cache-control": "public, immutable" } });
  expect(openapiAnswer(documents, { path, hash, ifNoneMatch: `"${hash}"` })?.status).toBe(304);
  expect(openapiAnswer(documents, { path: "/openapi/v3/apis/nope/v1" })).toBeUndefined();
});

test("version 2 is a stub for protobuf readers and whole for JSON readers", () => {
  const accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
  const stub = openapiAnswer(documents, { path: "/openapi/v2", accept });
  expect(stub?.headers["content-type"]).toBe("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
  expect(stub?.body.length).toBeLessThan(60);
  const whole = JSON.parse(openapiAnswer(documents, { path: "/openapi/v2" })?.body.toString() ?? "");
  expect(whole.swagger).toBe("2.0");
  expect(JSON.stringify(whole)).not.toContain("#/components");
  expect(whole.definitions["io.k8s.api.core.v1.PodSpec"].properties.securityContext).toEqual({
    $ref: "#/definitions/io.k8s.api.core.v1.PodSecurityContext",
  });
});
