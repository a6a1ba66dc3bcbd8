# Which there are, and when they tell: module.rules.

resource "aws_cloudwatch_metric_alarm" "log" {
  for_each = module.rules.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.description}: docs/operating.md#${each.key}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  threshold           = each.value.threshold
  comparison_operator = each.value.comparison
  period              = 60
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.datapoints
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = each.value.recovers ? var.alarm_topic_arns : []
  tags                = local.tags
}

# The functions are told by the store, and say so.
resource "aws_cloudwatch_log_metric_filter" "denied" {
  for_each = aws_cloudwatch_log_group.function

  name           = "${var.name}-${each.key}-denied"
  log_group_name = each.value.name
  # S3 says the first, KMS and Secrets Manager the other.
  pattern = "?AccessDenied ?AccessDeniedException"

  metric_transformation {
    name      = module.rules.alarms["access-denied"].metric
    namespace = "Tegula"
    value     = "1"
  }
}

resource "aws_budgets_budget" "log" {
  count = var.monthly_budget_usd == null ? 0 : 1

  name         = var.name
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  cost_filter {
    name   = "TagKeyValue"
    values = [module.rules.cost_tag]
  }

  notification {
    comparison_operator       = "GREATER_THAN"
    notification_type         = "FORECASTED"
    threshold                 = 100
    threshold_type            = "PERCENTAGE"
    subscriber_sns_topic_arns = var.alarm_topic_arns
  }
}

resource "aws_cloudwatch_dashboard" "log" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for n, widget in [
        { title = "Entries", metrics = ["Entries", "Duplicates", "Slots"], function = "upload", stat = "Sum" },
        { title = "Between processes", metrics = ["SlotsLost", "SlotsFolded", "HandedOver", "TakenAlong", "ColdStarts"], function = "upload", stat = "Sum" },
        { title = "Time of an upload, p99", metrics = ["TotalMs", "OrderingMs", "PublishingMs"], function = "upload", stat = "p99" },
        { title = "Requests an entry", metrics = ["RequestsPerEntry"], function = "upload", stat = "Average" },
        { title = "Tree size", metrics = ["TreeSize"], function = "maintain", stat = "Maximum" },
        { title = "Unpublished slots, inbox", metrics = ["UnpublishedSlots", "InboxDepth"], function = "maintain", stat = "Maximum" },
        { title = "Age of the checkpoint", metrics = ["CheckpointAgeMs"], function = "maintain", stat = "Maximum" },
        { title = "Housekeeping", metrics = ["BundlesChecked", "Damaged", "PartialsRemoved", "SlotsCut"], function = "maintain", stat = "Sum" },
        { title = "Search index behind", metrics = ["IndexLag", "IndexFailures"], function = "maintain", stat = "Maximum" },
        ] : {
        type   = "metric"
        x      = 12 * (n % 2)
        y      = 6 * floor(n / 2)
        width  = 12
        height = 6
        properties = {
          title   = widget.title
          region  = local.region
          period  = 60
          stat    = widget.stat
          metrics = [for metric in widget.metrics : ["Tegula", metric, "Origin", var.origin, "Function", widget.function]]
        }
      }
    ]
  })
}
