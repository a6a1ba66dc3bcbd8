# What is told, and when. What each means, and what to do: docs/operating.md.

locals {
  of = { for function in ["upload", "maintain"] : function => { Origin = var.origin, Function = function } }

  # Namespace Tegula is what the functions tell. Periods are minutes; of these so many have to be bad as datapoints says, or all.
  alarms = {
    checkpoint-stale = {
      description = "What is ordered has not been published for three minutes"
      namespace   = "Tegula", metric = "UnpublishedSlots", dimensions = local.of["maintain"]
      statistic   = "Minimum", periods = 3
    }
    maintain-silent = {
      description = "Nobody has looked after the log for five minutes"
      namespace   = "Tegula", metric = "TreeSize", dimensions = local.of["maintain"]
      statistic   = "SampleCount", threshold = 0, periods = 5, missing = "breaching", comparison = "LessThanOrEqualToThreshold"
    }
    self-check-failed = {
      description = "A tile, a bundle or a slot is not what was signed"
      namespace   = "Tegula", metric = "Damaged", dimensions = local.of["maintain"]
      statistic   = "Maximum"
      # The next minute looks elsewhere.
      recovers = false
    }
    index-behind = {
      description = "The search index has not caught up with the log for fifteen minutes"
      namespace   = "Tegula", metric = "IndexLag", dimensions = local.of["maintain"]
      statistic   = "Minimum", periods = 15
    }
    writes-failed = {
      description = "Batches could not be logged"
      namespace   = "Tegula", metric = "Failures", dimensions = local.of["upload"]
      # Two minutes of an hour: a log with few uploads has no two bad ones in a row.
      periods = 60, datapoints = 2
    }
    access-denied = {
      description = "The functions were refused something"
      namespace   = "Tegula", metric = "${var.name}-AccessDenied", dimensions = {}
    }
    upload-errors = {
      description = "The write function failed"
      namespace   = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = "${var.name}-upload" }
    }
    upload-throttles = {
      description = "Uploads found no function that was free"
      namespace   = "AWS/Lambda", metric = "Throttles", dimensions = { FunctionName = "${var.name}-upload" }
      periods     = 2
    }
    maintain-errors = {
      description = "The scheduled function failed twice in a row"
      namespace   = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = "${var.name}-maintain" }
      periods     = 2
    }
    api-errors = {
      description = "The API answered with 5xx"
      namespace   = "AWS/ApiGateway", metric = "5xx", dimensions = { ApiId = var.api_id }
      threshold   = 5, periods = 2
    }
  }
}
