# Public: what everyone reads, through the distribution alone. Private: slots and the inbox.
#
# Policies come last: they forbid everybody, us included, to change versioning and lifecycles any more.
#
# The public bucket has S3's own keys: what is in it is public, and the distribution could not read with a key whose policy does not know it.

resource "aws_s3_bucket" "public" {
  bucket = local.public_bucket
  # Writers lock full tiles and bundles, each for itself: partial ones have to go.
  object_lock_enabled = var.object_lock_days != null
  tags                = local.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket" "private" {
  bucket = local.private_bucket
  tags   = local.tags

  lifecycle {
    prevent_destroy = true
  }
}

locals {
  buckets = { public = aws_s3_bucket.public.id, private = aws_s3_bucket.private.id }
}

resource "aws_s3_bucket_public_access_block" "log" {
  for_each = local.buckets

  bucket                  = each.value
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "log" {
  for_each = local.buckets

  bucket = each.value

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "log" {
  for_each = local.buckets

  bucket = each.value

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = each.key == "public" || var.bucket_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = each.key == "public" ? null : var.bucket_key_arn
    }
  }
}

# What was replaced or removed is there for some days more.
resource "aws_s3_bucket_versioning" "log" {
  for_each = local.buckets

  bucket = each.value

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "log" {
  for_each = local.buckets

  bucket = each.value

  rule {
    id     = "what-was-not-finished"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  dynamic "rule" {
    for_each = module.rules.old_versions[each.key]

    content {
      id     = "old-versions-${replace(rule.key, "/", "-")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      dynamic "expiration" {
        for_each = rule.value.markers ? [true] : []

        content {
          expired_object_delete_marker = true
        }
      }

      noncurrent_version_expiration {
        noncurrent_days           = rule.value.days
        newer_noncurrent_versions = rule.value.kept
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.log]
}

resource "aws_s3_bucket_policy" "log" {
  for_each = local.buckets

  bucket = each.value
  policy = each.key == "public" ? module.rules.public_bucket_policy : module.rules.private_bucket_policy

  depends_on = [
    aws_s3_bucket_public_access_block.log,
    aws_s3_bucket_ownership_controls.log,
    aws_s3_bucket_server_side_encryption_configuration.log,
    aws_s3_bucket_versioning.log,
    aws_s3_bucket_lifecycle_configuration.log,
  ]
}
