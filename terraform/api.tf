resource "aws_apigatewayv2_api" "log" {
  name          = var.name
  description   = "Writes to ${var.origin}"
  protocol_type = "HTTP"
  tags          = local.tags
}

resource "aws_apigatewayv2_integration" "upload" {
  api_id                 = aws_apigatewayv2_api.log.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.function["upload"].invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

resource "aws_apigatewayv2_route" "log" {
  for_each = toset(module.rules.routes)

  api_id             = aws_apigatewayv2_api.log.id
  route_key          = each.value
  target             = "integrations/${aws_apigatewayv2_integration.upload.id}"
  authorization_type = startswith(each.value, "POST") && var.writers == "iam" ? "AWS_IAM" : "NONE"
}

resource "aws_apigatewayv2_stage" "log" {
  api_id      = aws_apigatewayv2_api.log.id
  name        = "$default"
  auto_deploy = true
  tags        = local.tags

  default_route_settings {
    throttling_rate_limit    = var.throttle.rate
    throttling_burst_limit   = var.throttle.burst
    detailed_metrics_enabled = true
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.api.arn
    format = jsonencode({
      requestId = "$context.requestId"
      route     = "$context.routeKey"
      status    = "$context.status"
      latencyMs = "$context.responseLatency"
      error     = "$context.error.message"
    })
  }
}

resource "aws_cloudwatch_log_group" "api" {
  name              = "/aws/apigateway/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_lambda_permission" "api" {
  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function["upload"].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.log.execution_arn}/*/*"
}
