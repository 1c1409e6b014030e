locals {
  flags = concat(
    [
      "--cloud", "aws",
      "--cluster", var.cluster,
      "--region", data.aws_region.here.name,
      "--vpc", local.vpc_id,
      "--subnets", join(",", local.subnet_ids),
      "--domain", var.domain,
    ],
    flatten([for cidr in var.operator_cidrs : ["--operator-cidr", cidr]]),
  )
}

output "flags" {
  description = "What to say to `drover serve`, `drover doctor` and `drover down`."
  value       = join(" ", local.flags)
}

output "vpc_id" {
  value = local.vpc_id
}

output "subnet_ids" {
  value = local.subnet_ids
}

output "security_group_ids" {
  description = "What every machine and every load balancer of the cluster is in; drover finds them by their tags."
  value       = { machines = aws_security_group.machines.id, balancers = aws_security_group.balancers.id }
}

output "zone_id" {
  description = "The private hosted zone."
  value       = aws_route53_zone.names.zone_id
}

output "policy_arns" {
  description = "Attach both to the user or role that runs drover, or assume the role."
  value       = values(aws_iam_policy.drover)[*].arn
}

output "role_arn" {
  value = aws_iam_role.drover.arn
}

output "instance_profile" {
  description = "For an instance of your own that runs drover."
  value       = aws_iam_instance_profile.drover.name
}

output "pod_instance_profiles" {
  description = "For ServiceAccounts: drover.dev/instance-profile."
  value       = { for name, profile in aws_iam_instance_profile.pod : name => profile.name }
}

output "server_id" {
  description = "`aws ssm start-session --target ID` leads to it."
  value       = one(aws_instance.server[*].id)
}
