# A transparency log that is written by a function and read from a bucket. docs/operating.md says how it is run.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  tags      = merge({ "tegula:log" = var.origin }, var.tags)

  # Names of buckets are the world's.
  public_bucket  = "${var.name}-${local.account}-public"
  private_bucket = "${var.name}-${local.account}-private"
  public_arn     = "arn:${local.partition}:s3:::${local.public_bucket}"

  # Names are given, and not taken from resources, so that policies and roles do not wait for each other.
  role_arns = {
    for function in ["upload", "maintain"] :
    function => "arn:${local.partition}:iam::${local.account}:role/${var.name}-${function}"
  }
  kms  = length(var.keys) == 0
  keys = local.kms ? ["kms:${aws_kms_key.log[0].arn}"] : var.keys

  host = var.domain == null ? aws_cloudfront_distribution.log.domain_name : var.domain.name
}

module "rules" {
  source = "./modules/rules"

  name              = var.name
  origin            = var.origin
  public_bucket     = local.public_bucket
  private_bucket    = local.private_bucket
  partition         = local.partition
  upload_role_arn   = local.role_arns["upload"]
  maintain_role_arn = local.role_arns["maintain"]
  distribution_arn  = aws_cloudfront_distribution.log.arn
  cut_slots         = var.keep_slots != null
  lock_tiles        = var.object_lock_days != null
  signing_key_arn   = local.kms ? aws_kms_key.log[0].arn : null
  secret_arns       = var.key_arns
  bucket_key_arn    = var.bucket_key_arn
  api_id            = aws_apigatewayv2_api.log.id
  log_group_arns = {
    for function, group in aws_cloudwatch_log_group.function : function => group.arn
  }
}
