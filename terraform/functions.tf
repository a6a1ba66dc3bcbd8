locals {
  # Of maintain a round takes a minute at most; the rest is for whoever brings an index up by hand ({"action": "index"}). Merges of the index are
  # done in units of 64 partitions, a few megabytes, and each is kept: neither a longer log nor a larger run needs more time or memory.
  timeouts = { upload = 60, maintain = 300 }

  environment = {
    TEGULA_STORE = join("&", concat(
      ["s3://${local.public_bucket}?private=s3://${local.private_bucket}", "region=${local.region}"],
      [for days in var.object_lock_days[*] : "lock-days=${days}"],
    ))
    TEGULA_ORIGIN = var.origin
    TEGULA_KEYS   = join(" ", local.keys)
    TEGULA_INDEX  = var.search_index ? "on" : "off"
  }

  environments = {
    upload = merge(local.environment, {
      TEGULA_WRITERS      = var.writers
      TEGULA_ISSUERS      = length(var.oidc) == 0 ? "" : jsonencode(var.oidc)
      TEGULA_ALLOWED_KEYS = join(" ", var.allowed_keys)
      TEGULA_DUPLICATES   = var.duplicates
      TEGULA_DEDUP_WINDOW = tostring(var.dedup_window)
    })
    maintain = merge(local.environment, {
      TEGULA_KEEP_SLOTS   = var.keep_slots == null ? "all" : tostring(var.keep_slots)
      TEGULA_CHECK_ROUNDS = tostring(var.check_days * 24 * 60)
    })
  }

  policies = { upload = module.rules.upload_policy, maintain = module.rules.maintain_policy }
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.timeouts

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "function" {
  for_each = local.timeouts

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "function" {
  for_each = local.timeouts

  name   = "log"
  role   = aws_iam_role.function[each.key].id
  policy = local.policies[each.key]
}

resource "aws_lambda_function" "function" {
  for_each = local.timeouts

  function_name                  = "${var.name}-${each.key}"
  description                    = "${each.key} of ${var.origin}"
  filename                       = "${var.functions_directory}/${each.key}.zip"
  source_code_hash               = filebase64sha256("${var.functions_directory}/${each.key}.zip")
  role                           = aws_iam_role.function[each.key].arn
  handler                        = "bootstrap"
  runtime                        = "provided.al2023"
  architectures                  = [var.architecture]
  memory_size                    = var.memory_mb[each.key]
  timeout                        = each.value
  reserved_concurrent_executions = var.concurrency[each.key]
  tags                           = local.tags

  environment {
    # What is not said is not passed on.
    variables = { for name, value in local.environments[each.key] : name => value if value != "" }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  depends_on = [
    aws_iam_role_policy.function,
    aws_s3_bucket_policy.log,
  ]
}

# The schedule's invocations, and the bucket's, wait in a queue of Lambda's own. What fails is not repeated there, and what cannot begin is dropped:
# the next minute is another one.
resource "aws_lambda_function_event_invoke_config" "maintain" {
  function_name                = aws_lambda_function.function["maintain"].function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}

# Makes the log if there is none, and says by which keys it is known.
resource "aws_lambda_invocation" "init" {
  function_name   = aws_lambda_function.function["maintain"].function_name
  lifecycle_scope = "CREATE_ONLY"
  input           = jsonencode({ action = "init", raw = var.raw })
}

resource "aws_scheduler_schedule" "maintain" {
  name                = "${var.name}-maintain"
  schedule_expression = "rate(1 minute)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.function["maintain"].arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ action = "tidy" })

    # The next minute tries again.
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }
  }

  depends_on = [aws_lambda_invocation.init]
}

# A writer has left a base run: the index need not wait for the minute. It is told of the first partition alone, once a run; reserved concurrency and
# the queue's limits keep them from piling up. Such an invocation is for what is new, takes some seconds, and leaves large merges to the schedule.
resource "aws_s3_bucket_notification" "base_run" {
  count = var.search_index ? 1 : 0

  bucket = aws_s3_bucket.public.id

  lambda_function {
    lambda_function_arn = aws_lambda_function.function["maintain"].arn
    events              = ["s3:ObjectCreated:*"]
    filter_prefix       = "index/v1/run/0/"
    filter_suffix       = "/000"
  }

  depends_on = [aws_lambda_permission.base_run]
}

resource "aws_lambda_permission" "base_run" {
  count = var.search_index ? 1 : 0

  statement_id   = "base-run"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.function["maintain"].function_name
  principal      = "s3.amazonaws.com"
  source_arn     = local.public_arn
  source_account = local.account
}

data "aws_iam_policy_document" "scheduler_assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

data "aws_iam_policy_document" "scheduler" {
  statement {
    actions   = ["lambda:InvokeFunction"]
    resources = [aws_lambda_function.function["maintain"].arn]
  }
}

resource "aws_iam_role" "scheduler" {
  name               = "${var.name}-scheduler"
  assume_role_policy = data.aws_iam_policy_document.scheduler_assume.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "invoke"
  role   = aws_iam_role.scheduler.id
  policy = data.aws_iam_policy_document.scheduler.json
}
