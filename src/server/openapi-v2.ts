import { isObject, type JsonObject as Json } from "../api/json-values.ts";

const methods = ["get", "put", "post", "delete", "patch"];

/** The same paths and schemas in the words of OpenAPI 2.0. */
export function swaggerFrom(info: object, paths: Json, schemas: Json): object {
  const plainPaths = Object.entries(paths).map(([path, item]) => [path, pathItem(item)] as const);
  return { swagger: "2.0", info, paths: Object.fromEntries(plainPaths), definitions: older(schemas) };
}

function pathItem(item: unknown): unknown {
  if (!isObject(item)) return item;
  const entries = Object.entries(item).map(([name, value]) => {
    if (name === "parameters") return [name, parametersOf(value)] as const;
    return [name, methods.includes(name) && isObject(value) ? operation(value) : value] as const;
  });
  return Object.fromEntries(entries);
}

function operation({ requestBody, parameters, responses, ...rest }: Json): Json {
  const body = isObject(requestBody) ? contentOf(requestBody["content"]) : undefined;
  const answers = isObject(responses) ? Object.entries(responses) : [];
  return {
    ...rest,
    consumes: body?.types ?? ["*/*"],
    produces: ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"],
    schemes: ["https"],
    parameters: [
      ...parametersOf(parameters),
      ...(body ? [{ name: "body", in: "body", required: true, schema: older(body.schema) }] : []),
    ],
    responses: Object.fromEntries(
      answers.map(([code, answer]) => {
        const schema = isObject(answer) ? contentOf(answer["content"])?.schema : undefined;
        const description = isObject(answer) ? answer["description"] : "";
        return [code, { description, ...(schema !== undefined && { schema: older(schema) }) }];
      }),
    ),
  };
}

function contentOf(content: unknown): { types: string[]; schema: unknown } | undefined {
  if (!isObject(content)) return undefined;
  const [first] = Object.values(content);
  return isObject(first) ? { types: Object.keys(content), schema: first["schema"] } : undefined;
}

/** Parameters carry their type beside their name. */
const parametersOf = (parameters: unknown): unknown[] =>
  Array.isArray(parameters) ? parameters.map(({ schema, ...rest }: Json) => ({ ...rest, ...Object(schema) })) : [];

/** A schema without what version 2.0 has no words for: `oneOf`, an `allOf` around a reference, defaults. */
function older(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(older);
  if (!isObject(value)) return value;
  const { oneOf, allOf, default: _, ...rest } = value;
  const plain: Json = Object.fromEntries(
    Object.entries(rest).map(([name, item]) => [
      name,
      name === "$ref" && typeof item === "string"
        ? item.replace("#/components/schemas/", "#/definitions/")
        : older(item),
    ]),
  );
  if (Array.isArray(oneOf)) plain["type"] = "string";
  const [inner] = Array.isArray(allOf) ? allOf : [];
  return isObject(inner) ? { ...Object(older(inner)), ...plain } : plain;
}
