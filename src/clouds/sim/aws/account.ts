import type { GetProductsRequest, GetProductsResponse } from "@aws-sdk/client-pricing";
import type {
  GetServiceQuotaRequest,
  GetServiceQuotaResponse,
  ListServiceQuotasRequest,
  ListServiceQuotasResponse,
  ServiceQuota,
} from "@aws-sdk/client-service-quotas";
import type { GetParameterRequest, GetParameterResult } from "@aws-sdk/client-ssm";
import type { GetCallerIdentityResponse } from "@aws-sdk/client-sts";
import { dateOf } from "../../../base/clock.ts";
import { AwsError } from "./errors.ts";
import { pageOf } from "./paging.ts";
import { type InstanceType, instanceTypes } from "./type-table.ts";
import type { AwsWorld } from "./world.ts";

export function getParameter(world: AwsWorld, { Name: name = "" }: GetParameterRequest): GetParameterResult {
  const value = world.parameters.get(name);
  if (value === undefined) throw new AwsError("ParameterNotFound", `Parameter ${name} not found.`);
  const { region } = world.account;
  return {
    Parameter: {
      Name: name,
      Type: "String",
      Value: value,
      Version: 1,
      LastModifiedDate: dateOf(world.clock.wallMs()),
      ARN: `arn:aws:ssm:${region}::parameter${name}`,
      DataType: "text",
    },
  };
}

export const getCallerIdentity = ({ account }: AwsWorld): GetCallerIdentityResponse => ({
  UserId: "AIDAEXAMPLEUSER000000",
  Account: account.id,
  Arn: account.userArn,
});

/** Load balancers' quotas are another service's. */
const serviceOf = (name: string): string => (/Balancer|Target Group/.test(name) ? "elasticloadbalancing" : "ec2");

const shownQuota = (code: string, { name, value }: { name: string; value: number }): ServiceQuota => ({
  ServiceCode: serviceOf(name),
  QuotaCode: code,
  QuotaName: name,
  Value: value,
  Unit: "None",
  Adjustable: true,
  GlobalQuota: false,
});

export function getServiceQuota(world: AwsWorld, input: GetServiceQuotaRequest): GetServiceQuotaResponse {
  const { ServiceCode: service = "", QuotaCode: code = "" } = input;
  const quota = world.quotas.values.get(code);
  if (quota === undefined || serviceOf(quota.name) !== service)
    throw new AwsError("NoSuchResourceException", "The request failed because the specified quota does not exist.");
  return { Quota: shownQuota(code, quota) };
}

export function listServiceQuotas(world: AwsWorld, input: ListServiceQuotasRequest): ListServiceQuotasResponse {
  const rows = [...world.quotas.values].map(([code, quota], serial) => ({ serial, shown: shownQuota(code, quota) }));
  const ofService = rows.filter(({ shown }) => shown.ServiceCode === input.ServiceCode);
  const { page, next } = pageOf(ofService, Math.min(100, input.MaxResults ?? 100), input.NextToken);
  return { Quotas: page.map(({ shown }) => shown), NextToken: next };
}

const attributesOf = ({ name, vcpus, memoryMib }: InstanceType, regionCode: string) => ({
  instanceType: name,
  vcpu: String(vcpus),
  memory: `${memoryMib / 1_024} GiB`,
  operatingSystem: "Linux",
  tenancy: "Shared",
  preInstalledSw: "NA",
  capacitystatus: "Used",
  marketoption: "OnDemand",
  operation: "RunInstances",
  licenseModel: "No License required",
  servicecode: "AmazonEC2",
  regionCode,
});

/** One product a type: on demand, Linux, shared hardware, at us-east-1's prices whatever the Region. */
export function getProducts(world: AwsWorld, input: GetProductsRequest): GetProductsResponse {
  if (input.ServiceCode !== "AmazonEC2") return { FormatVersion: "aws_v1", PriceList: [] };
  const rows = instanceTypes.map((type, serial) => {
    const attributes: Readonly<Record<string, string>> = attributesOf(type, world.account.region);
    return { serial, type, attributes };
  });
  const matches = ({ attributes }: (typeof rows)[number]) =>
    (input.Filters ?? []).every(({ Field: field = "", Value: value }) => attributes[field] === value);
  const { page, next } = pageOf(rows.filter(matches), Math.min(100, input.MaxResults ?? 100), input.NextToken);
  return { FormatVersion: "aws_v1", PriceList: page.map(productText), NextToken: next };
}

function productText({ type, attributes }: { type: InstanceType; attributes: object }): string {
  const sku = Buffer.from(type.name).toString("hex").toUpperCase();
  const rate = `${sku}.JRTCKXETXF.6YS6EN2CT7`;
  return JSON.stringify({
    product: { productFamily: "Compute Instance", attributes, sku },
    serviceCode: "AmazonEC2",
    terms: {
      OnDemand: {
        [`${sku}.JRTCKXETXF`]: {
          priceDimensions: {
            [rate]: {
              unit: "Hrs",
              rateCode: rate,
              beginRange: "0",
              endRange: "Inf",
              description: `$${type.usdPerHour} per On Demand Linux ${type.name} Instance Hour`,
              pricePerUnit: { USD: type.usdPerHour.toFixed(10) },
            },
          },
          sku,
          effectiveDate: "2026-07-01T00:00:00Z",
          offerTermCode: "JRTCKXETXF",
          termAttributes: {},
        },
      },
    },
    version: "20260720000000",
    publicationDate: "2026-07-20T00:00:00Z",
  });
}
