data "aws_availability_zones" "here" {
  state = "available"

  # No local zones: they have neither every instance type nor load balancers.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_vpc" "given" {
  count = var.vpc_id == null ? 0 : 1
  id    = var.vpc_id
}

locals {
  tags = merge(var.tags, { "drover.dev/cluster" = var.cluster })
  # `drover down` leaves what somebody else ends.
  kept_tags = merge(local.tags, { "drover.dev/kept-by" = "terraform" })
  make_vpc  = var.vpc_id == null
  zones     = local.make_vpc ? slice(data.aws_availability_zones.here.names, 0, var.zone_count) : []
  private   = var.private_subnets ? local.zones : []

  # As the flags of `drover serve` say, on the server too: anything else would be drift.
  ssh_cidrs = concat(var.operator_cidrs, var.server ? [local.vpc_cidr] : [])

  vpc_id   = local.make_vpc ? aws_vpc.made[0].id : data.aws_vpc.given[0].id
  vpc_cidr = local.make_vpc ? var.vpc_cidr : data.aws_vpc.given[0].cidr_block
  # With private subnets machines are meant to be there; public ones are for load balancers then.
  machine_subnet_ids = local.make_vpc ? values(aws_subnet.public)[*].id : var.subnet_ids
  subnet_ids         = concat(local.machine_subnet_ids, values(aws_subnet.private)[*].id)
}

resource "aws_vpc" "made" {
  count                = local.make_vpc ? 1 : 0
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # Without it private hosted zones answer nobody.
  tags                 = merge(local.tags, { Name = "drover-${var.cluster}" })
}

resource "aws_internet_gateway" "made" {
  count  = local.make_vpc ? 1 : 0
  vpc_id = aws_vpc.made[0].id
  tags   = merge(local.tags, { Name = "drover-${var.cluster}" })
}

resource "aws_subnet" "public" {
  for_each          = toset(local.zones)
  vpc_id            = aws_vpc.made[0].id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.vpc_cidr, 3, index(local.zones, each.key))

  tags = merge(
    local.tags,
    { Name = "drover-${var.cluster}-public-${each.key}", "kubernetes.io/role/elb" = "1" },
    var.private_subnets ? {} : { "kubernetes.io/role/internal-elb" = "1" },
  )
}

resource "aws_route_table" "public" {
  count  = local.make_vpc ? 1 : 0
  vpc_id = aws_vpc.made[0].id
  tags   = merge(local.tags, { Name = "drover-${var.cluster}-public" })
}

resource "aws_route" "public" {
  count                  = local.make_vpc ? 1 : 0
  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.made[0].id
}

resource "aws_route_table_association" "public" {
  for_each       = aws_subnet.public
  subnet_id      = each.value.id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_subnet" "private" {
  for_each          = toset(local.private)
  vpc_id            = aws_vpc.made[0].id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.vpc_cidr, 3, 4 + index(local.zones, each.key))

  tags = merge(
    local.tags,
    { Name = "drover-${var.cluster}-private-${each.key}", "kubernetes.io/role/internal-elb" = "1" },
  )
}

resource "aws_eip" "nat" {
  count  = var.private_subnets ? 1 : 0
  domain = "vpc"
  tags   = merge(local.tags, { Name = "drover-${var.cluster}-nat" })
}

# One for all zones: if its zone fails, machines elsewhere can pull no images until it is back.
resource "aws_nat_gateway" "made" {
  count         = var.private_subnets ? 1 : 0
  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.public[local.zones[0]].id
  tags          = merge(local.tags, { Name = "drover-${var.cluster}" })
  depends_on    = [aws_route.public]
}

resource "aws_route_table" "private" {
  count  = var.private_subnets ? 1 : 0
  vpc_id = aws_vpc.made[0].id
  tags   = merge(local.tags, { Name = "drover-${var.cluster}-private" })
}

resource "aws_route" "private" {
  count                  = var.private_subnets ? 1 : 0
  route_table_id         = aws_route_table.private[0].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.made[0].id
}

resource "aws_route_table_association" "private" {
  for_each       = aws_subnet.private
  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[0].id
}

# The names of Services. drover alone writes its records, and removes them; what is left goes with the zone.
resource "aws_route53_zone" "names" {
  name          = var.domain
  comment       = "Names of drover's cluster ${var.cluster}"
  force_destroy = true
  tags          = local.kept_tags

  vpc {
    vpc_id = local.vpc_id
  }
}

# The groups that drover looks for by their tag before it makes its own. It adds one for each set of ports that Pods
# declare, and opens those to the load balancers and to the VPC.
resource "aws_security_group" "machines" {
  name        = "drover-${var.cluster}-machines"
  description = "Machines of ${var.cluster}"
  vpc_id      = local.vpc_id
  tags        = merge(local.kept_tags, { Name = "drover-${var.cluster}-machines", "drover.dev/security-group" = "machines" })

  dynamic "ingress" {
    for_each = length(local.ssh_cidrs) > 0 ? [local.ssh_cidrs] : []
    content {
      description      = "SSH"
      from_port        = 22
      to_port          = 22
      protocol         = "tcp"
      cidr_blocks      = [for cidr in ingress.value : cidr if !strcontains(cidr, ":")]
      ipv6_cidr_blocks = [for cidr in ingress.value : cidr if strcontains(cidr, ":")]
    }
  }

  egress {
    description = "Packages, images, AWS"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "balancers" {
  name        = "drover-${var.cluster}-balancers"
  description = "Load balancers of ${var.cluster}"
  vpc_id      = local.vpc_id
  tags        = merge(local.kept_tags, { Name = "drover-${var.cluster}-balancers", "drover.dev/security-group" = "balancers" })

  egress {
    description = "The machines"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
