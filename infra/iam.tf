data "aws_partition" "here" {}
data "aws_region" "here" {}
data "aws_caller_identity" "me" {}

locals {
  words = {
    partition = data.aws_partition.here.partition
    region    = data.aws_region.here.name
    account   = data.aws_caller_identity.me.account_id
    cluster   = var.cluster
    zone_id   = aws_route53_zone.names.zone_id
  }
}

# The documents are generated from the calls that drover makes (`npm run generate`).
resource "aws_iam_policy" "drover" {
  for_each    = toset(["look", "change"])
  name        = "drover-${var.cluster}-${each.key}"
  description = "What drover's cluster ${var.cluster} needs, part ${each.key}"
  policy      = templatefile("${path.module}/policy-${each.key}.json.tftpl", local.words)
  tags        = local.tags
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }

  dynamic "statement" {
    for_each = length(var.trusted_principals) > 0 ? [var.trusted_principals] : []

    content {
      actions = ["sts:AssumeRole"]

      principals {
        type        = "AWS"
        identifiers = statement.value
      }
    }
  }
}

resource "aws_iam_role" "drover" {
  name               = "drover-${var.cluster}"
  description        = "Who runs drover serve for the cluster ${var.cluster}"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = local.tags
}

resource "aws_iam_role_policy_attachment" "drover" {
  for_each   = aws_iam_policy.drover
  role       = aws_iam_role.drover.name
  policy_arn = each.value.arn
}

resource "aws_iam_instance_profile" "drover" {
  name = "drover-${var.cluster}"
  role = aws_iam_role.drover.name
  tags = local.tags
}

data "aws_iam_policy_document" "pod_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

# drover may pass roles whose names begin with drover-pod-, and no others.
resource "aws_iam_role" "pod" {
  for_each           = var.pod_roles
  name               = "drover-pod-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.pod_trust.json
  tags               = local.tags
}

resource "aws_iam_role_policy_attachment" "pod" {
  for_each = {
    for pair in flatten([for name, arns in var.pod_roles : [for arn in arns : { name = name, arn = arn }]]) :
    "${pair.name} ${pair.arn}" => pair
  }
  role       = aws_iam_role.pod[each.value.name].name
  policy_arn = each.value.arn
}

resource "aws_iam_instance_profile" "pod" {
  for_each = aws_iam_role.pod
  name     = each.value.name
  role     = each.value.name
  tags     = local.tags
}
