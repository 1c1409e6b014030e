# Optional: an instance in the VPC that runs `drover serve`. Its API stays on its own 127.0.0.1; Session Manager forwards
# the port, so nothing is opened to the internet.

data "aws_ssm_parameter" "server_image" {
  count = var.server ? 1 : 0
  name  = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
}

resource "aws_security_group" "server" {
  count       = var.server ? 1 : 0
  name        = "drover-${var.cluster}-server"
  description = "drover serve of the cluster ${var.cluster}: nothing comes in"
  vpc_id      = local.vpc_id
  tags        = merge(var.tags, { Name = "drover-${var.cluster}-server" })

  egress {
    description = "AWS, images, the machines"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_iam_role_policy_attachment" "session_manager" {
  count      = var.server ? 1 : 0
  role       = aws_iam_role.drover.name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_instance" "server" {
  count                       = var.server ? 1 : 0
  ami                         = data.aws_ssm_parameter.server_image[0].value
  instance_type               = var.server_instance_type
  subnet_id                   = local.subnet_ids[0]
  associate_public_ip_address = local.make_vpc ? true : null # In a given VPC as its subnet does.
  iam_instance_profile        = aws_iam_instance_profile.drover.name
  vpc_security_group_ids      = [aws_security_group.server[0].id]
  user_data_replace_on_change = false # Its disk holds the cluster's objects and keys.

  # Not tagged with the cluster: what carries that tag is drover's own to end.
  tags        = merge(var.tags, { Name = "drover-${var.cluster}-server" })
  volume_tags = merge(var.tags, { Name = "drover-${var.cluster}-server" })

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = 10
    encrypted   = true
  }

  user_data = templatefile("${path.module}/server.yaml.tftpl", {
    package = var.server_package
    flags   = join(" ", concat(local.flags, ["--reach", "private", "--operator-cidr", local.vpc_cidr]))
  })

  lifecycle {
    ignore_changes = [ami, user_data]
  }
}
