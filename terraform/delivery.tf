# Everyone reads here. How long what is kept: module.rules.

resource "aws_cloudfront_origin_access_control" "public" {
  name                              = var.name
  description                       = "Reads the public bucket of ${var.origin}"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_cache_policy" "rule" {
  for_each = { for n, rule in module.rules.cache_rules : n => rule if rule.origin == "bucket" }

  name        = "${var.name}-${each.key}"
  comment     = "${var.origin} ${each.value.path}"
  min_ttl     = each.value.min_ttl
  default_ttl = each.value.default_ttl
  max_ttl     = each.value.max_ttl

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_brotli = true
    enable_accept_encoding_gzip   = true

    cookies_config {
      cookie_behavior = "none"
    }

    headers_config {
      header_behavior = "none"
    }

    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

data "aws_cloudfront_cache_policy" "off" {
  name = "Managed-CachingDisabled"
}

data "aws_cloudfront_origin_request_policy" "api" {
  name = "Managed-AllViewerExceptHostHeader"
}

resource "aws_cloudfront_response_headers_policy" "log" {
  name    = var.name
  comment = "Headers of ${var.origin}"

  cors_config {
    access_control_allow_credentials = false
    access_control_max_age_sec       = 86400
    origin_override                  = false

    access_control_allow_headers {
      items = ["authorization", "content-type"]
    }

    access_control_allow_methods {
      items = ["GET", "HEAD", "OPTIONS", "POST"]
    }

    access_control_allow_origins {
      items = ["*"]
    }

    access_control_expose_headers {
      items = ["etag", "content-range", "x-log-index", "x-request-id"]
    }
  }

  security_headers_config {
    content_type_options {
      override = true
    }

    frame_options {
      frame_option = "DENY"
      override     = true
    }

    referrer_policy {
      referrer_policy = "no-referrer"
      override        = true
    }

    strict_transport_security {
      access_control_max_age_sec = 63072000
      include_subdomains         = true
      override                   = true
      preload                    = true
    }

    content_security_policy {
      content_security_policy = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
      override                = false
    }
  }
}

locals {
  # The last rule is for what no other one matches.
  behaviors = slice(module.rules.cache_rules, 0, length(module.rules.cache_rules) - 1)
  default   = length(module.rules.cache_rules) - 1
}

resource "aws_cloudfront_distribution" "log" {
  enabled             = true
  is_ipv6_enabled     = true
  http_version        = "http2and3"
  comment             = var.origin
  price_class         = var.price_class
  aliases             = var.domain == null ? [] : [var.domain.name]
  default_root_object = "log.json"
  web_acl_id          = var.rate_limit_per_address == null ? null : aws_wafv2_web_acl.log[0].arn
  tags                = local.tags

  origin {
    origin_id                = "bucket"
    domain_name              = aws_s3_bucket.public.bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.public.id
  }

  origin {
    origin_id   = "api"
    domain_name = replace(aws_apigatewayv2_api.log.api_endpoint, "https://", "")

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
      origin_read_timeout    = 35
    }
  }

  dynamic "ordered_cache_behavior" {
    for_each = { for n, rule in local.behaviors : n => rule }

    content {
      path_pattern               = ordered_cache_behavior.value.path
      target_origin_id           = ordered_cache_behavior.value.origin
      viewer_protocol_policy     = "redirect-to-https"
      compress                   = true
      allowed_methods            = ordered_cache_behavior.value.origin == "api" ? ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"] : ["GET", "HEAD", "OPTIONS"]
      cached_methods             = ["GET", "HEAD"]
      cache_policy_id            = ordered_cache_behavior.value.origin == "api" ? data.aws_cloudfront_cache_policy.off.id : aws_cloudfront_cache_policy.rule[ordered_cache_behavior.key].id
      origin_request_policy_id   = ordered_cache_behavior.value.origin == "api" ? data.aws_cloudfront_origin_request_policy.api.id : null
      response_headers_policy_id = aws_cloudfront_response_headers_policy.log.id
    }
  }

  default_cache_behavior {
    target_origin_id           = "bucket"
    viewer_protocol_policy     = "redirect-to-https"
    compress                   = true
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD"]
    cache_policy_id            = aws_cloudfront_cache_policy.rule[local.default].id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.log.id
  }

  dynamic "custom_error_response" {
    for_each = module.rules.error_ttl

    content {
      error_code            = tonumber(custom_error_response.key)
      error_caching_min_ttl = custom_error_response.value
    }
  }

  dynamic "logging_config" {
    for_each = var.access_logs_bucket == null ? [] : [var.access_logs_bucket]

    content {
      bucket          = logging_config.value
      include_cookies = false
      prefix          = "${var.name}/"
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = var.domain == null
    acm_certificate_arn            = try(var.domain.certificate_arn, null)
    ssl_support_method             = var.domain == null ? null : "sni-only"
    minimum_protocol_version       = var.domain == null ? "TLSv1" : "TLSv1.2_2021"
  }
}

# Its resources are the world's, and live in us-east-1.
resource "aws_wafv2_web_acl" "log" {
  count  = var.rate_limit_per_address == null ? 0 : 1
  region = "us-east-1"

  name        = var.name
  description = "Uploads to ${var.origin} from one address"
  scope       = "CLOUDFRONT"
  tags        = local.tags

  default_action {
    allow {}
  }

  rule {
    name     = "uploads-from-one-address"
    priority = 1

    action {
      block {
        custom_response {
          response_code = 429
        }
      }
    }

    statement {
      rate_based_statement {
        aggregate_key_type    = "IP"
        limit                 = var.rate_limit_per_address
        evaluation_window_sec = 300

        scope_down_statement {
          byte_match_statement {
            positional_constraint = "EXACTLY"
            search_string         = "POST"

            field_to_match {
              method {}
            }

            text_transformation {
              priority = 0
              type     = "NONE"
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-uploads"
      sampled_requests_enabled   = false
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = false
  }
}

resource "aws_route53_record" "log" {
  for_each = try(var.domain.zone_id, null) == null ? toset([]) : toset(["A", "AAAA"])

  zone_id = var.domain.zone_id
  name    = var.domain.name
  type    = each.value

  alias {
    name                   = aws_cloudfront_distribution.log.domain_name
    zone_id                = aws_cloudfront_distribution.log.hosted_zone_id
    evaluate_target_health = false
  }
}
