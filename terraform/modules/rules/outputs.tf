output "public_bucket_policy" {
  description = "Policy of the public bucket, JSON."
  value       = jsonencode({ Version = "2012-10-17", Statement = local.public_bucket_statements })
}

output "private_bucket_policy" {
  description = "Policy of the private bucket, JSON."
  value       = jsonencode({ Version = "2012-10-17", Statement = local.private_bucket_statements })
}

output "upload_policy" {
  description = "What the write function may do, JSON."
  value = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.writer_statements, [local.logs["upload"]])
  })
}

output "maintain_policy" {
  description = "What the scheduled function may do, JSON."
  value = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.writer_statements, local.maintain_statements, [local.logs["maintain"]])
  })
}

output "resident_policy" {
  description = "What a resident writer may do, which looks after the log as well, JSON."
  value       = jsonencode({ Version = "2012-10-17", Statement = concat(local.writer_statements, local.maintain_statements) })
}

output "old_versions" {
  description = "How long versions are kept that were replaced or removed, by bucket and prefix."
  value       = local.old_versions
}

output "cache_rules" {
  description = "How long answers are kept, by path; the first rule that matches counts. TTLs in seconds."
  value       = local.cache_rules
}

output "error_ttl" {
  description = "How long errors are kept, by status, in seconds."
  value       = local.error_ttl
}

output "routes" {
  description = "Routes of the HTTP API."
  value       = local.routes
}

output "alarms" {
  description = "Alarms, by their names."
  value = {
    for name, alarm in local.alarms : name => merge({
      statistic  = "Sum"
      threshold  = 1
      comparison = "GreaterThanOrEqualToThreshold"
      missing    = "notBreaching"
      periods    = 1
      datapoints = try(alarm.periods, 1)
      recovers   = true
    }, alarm)
  }
}

output "cost_tag" {
  description = "The tag that the log's resources have, as budgets name it."
  value       = format("user:tegula:log$%s", var.origin)
}
