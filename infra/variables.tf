variable "cluster" {
  description = "Name of the cluster, as in `drover serve --cluster`. Everything is tagged with it."
  type        = string
  default     = "aws"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", var.cluster))
    error_message = "A cluster's name has 1 to 32 lower-case letters, digits and dashes, and no dash at either end."
  }
}

variable "vpc_id" {
  description = "An existing VPC. Null: one is made."
  type        = string
  default     = null

  validation {
    condition     = var.vpc_id == null || can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "vpc_id looks like vpc-0123456789abcdef0."
  }
}

variable "subnet_ids" {
  description = "Subnets of the existing VPC that machines and load balancers may use."
  type        = list(string)
  default     = []

  validation {
    condition     = (var.vpc_id == null) == (length(var.subnet_ids) == 0)
    error_message = "vpc_id and subnet_ids belong together: give both, or neither and a VPC is made."
  }

  validation {
    condition     = alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "subnet_ids look like subnet-0123456789abcdef0."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC that is made, a /16 to /20."
  type        = string
  default     = "10.64.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && try(tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 20, false)
    error_message = "vpc_cidr is a network of /16 to /20, such as 10.64.0.0/16."
  }
}

variable "zone_count" {
  description = "Availability zones of the VPC that is made. Application load balancers (Ingress) need two."
  type        = number
  default     = 2

  validation {
    condition     = var.zone_count >= 1 && var.zone_count <= 4 && floor(var.zone_count) == var.zone_count
    error_message = "zone_count is 1, 2, 3 or 4."
  }
}

variable "private_subnets" {
  description = "Also make private subnets behind a NAT gateway (0.045 USD an hour and 0.045 USD a GB), for machines without public addresses."
  type        = bool
  default     = false

  validation {
    condition     = !var.private_subnets || var.vpc_id == null
    error_message = "private_subnets are made in a VPC that is made; an existing one has its own (subnet_ids)."
  }
}

variable "domain" {
  description = "What the names of Services end with: a private hosted zone."
  type        = string
  default     = "cluster.local"

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.domain))
    error_message = "domain is a name such as cluster.local, in lower case and without a dot at its end."
  }
}

variable "operator_cidrs" {
  description = "Networks from which SSH to the machines is opened, such as your own address: 203.0.113.7/32."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.operator_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "operator_cidrs are networks such as 203.0.113.7/32; the whole internet is not accepted."
  }
}

variable "trusted_principals" {
  description = "ARNs of users and roles that may assume drover's role, beside EC2 itself."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.trusted_principals : startswith(arn, "arn:")])
    error_message = "trusted_principals are ARNs of users or roles."
  }
}

variable "pod_roles" {
  description = "Roles that Pods may have, by name: the ARNs of their policies. A ServiceAccount names one: drover.dev/instance-profile: drover-pod-NAME."
  type        = map(list(string))
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.pod_roles) : can(regex("^[A-Za-z0-9_-]{1,40}$", name))])
    error_message = "Names of pod_roles have 1 to 40 letters, digits, dashes and underscores."
  }
}

variable "server" {
  description = "Make a small instance that runs `drover serve`, so that no laptop has to stay open."
  type        = bool
  default     = false
}

variable "server_instance_type" {
  description = "Type of that instance, an arm64 one."
  type        = string
  default     = "t4g.small"

  validation {
    condition     = can(regex("^[a-z]+[0-9]+g[a-z]*\\.[a-z0-9]+$", var.server_instance_type))
    error_message = "server_instance_type is an arm64 type, such as t4g.small."
  }
}

variable "server_package" {
  description = "What the server installs with npm: a tarball's https:// address (`npm pack` makes one), or a package of a registry."
  type        = string
  default     = null

  validation {
    condition     = !var.server || can(regex("^[A-Za-z0-9@/:._?=&%-]+$", var.server_package))
    error_message = "server = true needs server_package: what npm installs, without spaces and quotes."
  }
}

variable "tags" {
  description = "Tags of your own on everything."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(key, "drover.dev/") && !startswith(key, "aws:")])
    error_message = "Tags that begin with drover.dev/ or aws: are set by others."
  }
}
