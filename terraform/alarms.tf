# What each means, and what to do: docs/operating.md.

locals {
  # Namespace Tegula is what the functions tell.
  alarms = {
    checkpoint-stale = {
      description = "What is ordered has not been published for three minutes"
      namespace   = "Tegula", metric = "UnpublishedSlots", dimensions = { Origin = var.origin, Function = "maintain" }
      statistic   = "Minimum", threshold = 1, periods = 3, missing = "notBreaching"
    }
    maintain-silent = {
      description = "Nobody has looked after the log for five minutes"
      namespace   = "Tegula", metric = "TreeSize", dimensions = { Origin = var.origin, Function = "maintain" }
      statistic   = "SampleCount", threshold = 0, periods = 5, missing = "breaching", comparison = "LessThanOrEqualToThreshold"
    }
    self-check-failed = {
      description = "A tile, a bundle or a slot is not what was signed"
      namespace   = "Tegula", metric = "Damaged", dimensions = { Origin = var.origin, Function = "maintain" }
      statistic   = "Maximum", threshold = 1, periods = 1, missing = "notBreaching"
    }
    writes-failed = {
      description = "Batches could not be logged"
      namespace   = "Tegula", metric = "Failures", dimensions = { Origin = var.origin, Function = "upload" }
      statistic   = "Sum", threshold = 5, periods = 2, missing = "notBreaching"
    }
    overwrite-denied = {
      description = "Somebody tried to overwrite or remove what is never changed"
      namespace   = "Tegula", metric = "AccessDenied", dimensions = {}
      statistic   = "Sum", threshold = 1, periods = 1, missing = "notBreaching"
    }
    upload-errors = {
      description = "The write function failed"
      namespace   = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = "${var.name}-upload" }
      statistic   = "Sum", threshold = 1, periods = 1, missing = "notBreaching"
    }
    upload-throttles = {
      description = "Uploads found no function that was free"
      namespace   = "AWS/Lambda", metric = "Throttles", dimensions = { FunctionName = "${var.name}-upload" }
      statistic   = "Sum", threshold = 1, periods = 2, missing = "notBreaching"
    }
    maintain-errors = {
      description = "The scheduled function failed twice in a row"
      namespace   = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = "${var.name}-maintain" }
      statistic   = "Sum", threshold = 1, periods = 2, missing = "notBreaching"
    }
    api-errors = {
      description = "The API answered with 5xx"
      namespace   = "AWS/ApiGateway", metric = "5xx", dimensions = { ApiId = aws_apigatewayv2_api.log.id }
      statistic   = "Sum", threshold = 5, periods = 2, missing = "notBreaching"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "log" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.description}: docs/operating.md#${each.key}"
  namespace           = each.value.namespace
  metric_name         = each.key == "overwrite-denied" ? "${var.name}-AccessDenied" : each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  threshold           = each.value.threshold
  comparison_operator = try(each.value.comparison, "GreaterThanOrEqualToThreshold")
  period              = 60
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags
}

# The functions are told by the store, and say so.
resource "aws_cloudwatch_log_metric_filter" "denied" {
  for_each = aws_cloudwatch_log_group.function

  name           = "${var.name}-${each.key}-denied"
  log_group_name = each.value.name
  pattern        = "AccessDenied"

  metric_transformation {
    name      = "${var.name}-AccessDenied"
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
    values = ["user:tegula:log$${var.origin}"]
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
