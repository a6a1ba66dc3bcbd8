output "url" {
  description = "URL of the log, for readers and, unless writers = iam, for writers."
  value       = "https://${local.host}"
}

output "distribution_domain_name" {
  description = "What a DNS record of one's own points to."
  value       = aws_cloudfront_distribution.log.domain_name
}

output "api_url" {
  description = "URL of the API without the distribution. Writers of writers = iam sign for it and send to it."
  value       = aws_apigatewayv2_api.log.api_endpoint
}

output "origin" {
  description = "Name of the log."
  value       = var.origin
}

output "vkeys" {
  description = "Verifier keys of the log (c2sp.org/signed-note), for `tegula --log-key`; publish them where people trust you."
  value       = jsondecode(aws_lambda_invocation.init.result).keys
}

output "policy" {
  description = "What a client needs to trust the log, as c2sp.org/tlog-policy."
  value       = join("", [for key in jsondecode(aws_lambda_invocation.init.result).keys : "log ${key} https://${local.host}\n"], ["quorum none\n"])
}

output "store" {
  description = "Address of the log for `tegula serve` and every other command that writes."
  value       = local.environment.TEGULA_STORE
}

output "resident_policy" {
  description = "IAM policy for the role of a resident `tegula serve` on the log's buckets, JSON."
  value       = module.rules.resident_policy
}

output "buckets" {
  description = "Names of the buckets."
  value       = { public = aws_s3_bucket.public.id, private = aws_s3_bucket.private.id }
}

output "signing_key_arn" {
  description = "The KMS key that signs checkpoints; null where the keys are secrets."
  value       = local.kms ? aws_kms_key.log[0].arn : null
}
