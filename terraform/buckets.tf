# Public: what everyone reads, through the distribution alone. Private: slots and the inbox.
#
# Policies come last: they forbid everybody, us included, to change versioning and lifecycles any more.

resource "aws_s3_bucket" "public" {
  bucket              = local.public_bucket
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
      sse_algorithm     = var.bucket_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.bucket_key_arn
    }
  }
}

# Of the checkpoint that is a history, for nothing.
resource "aws_s3_bucket_versioning" "log" {
  for_each = local.buckets

  bucket = each.value

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "public" {
  count = var.object_lock_days == null ? 0 : 1

  bucket = aws_s3_bucket.public.id

  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.object_lock_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.log]
}

resource "aws_s3_bucket_lifecycle_configuration" "public" {
  bucket = aws_s3_bucket.public.id

  rule {
    id     = "what-was-not-finished"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  rule {
    id     = "removed-partial-tiles"
    status = "Enabled"

    filter {
      prefix = "tile/"
    }

    expiration {
      expired_object_delete_marker = true
    }

    noncurrent_version_expiration {
      noncurrent_days = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.log]
}

# Nothing here may ever remove a slot: a name that is free again forks the log.
resource "aws_s3_bucket_lifecycle_configuration" "private" {
  bucket = aws_s3_bucket.private.id

  rule {
    id     = "what-was-not-finished"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  rule {
    id     = "removed-items"
    status = "Enabled"

    filter {
      prefix = "inbox/"
    }

    expiration {
      expired_object_delete_marker = true
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  rule {
    id     = "slots-that-were-cut"
    status = "Enabled"

    filter {
      prefix = "wal/"
    }

    noncurrent_version_expiration {
      noncurrent_days = 30
    }
  }

  depends_on = [aws_s3_bucket_versioning.log]
}

resource "aws_s3_bucket_policy" "public" {
  bucket = aws_s3_bucket.public.id
  policy = module.rules.public_bucket_policy

  depends_on = [
    aws_s3_bucket_public_access_block.log,
    aws_s3_bucket_versioning.log,
    aws_s3_bucket_lifecycle_configuration.public,
    aws_s3_bucket_object_lock_configuration.public,
  ]
}

resource "aws_s3_bucket_policy" "private" {
  bucket = aws_s3_bucket.private.id
  policy = module.rules.private_bucket_policy

  depends_on = [
    aws_s3_bucket_public_access_block.log,
    aws_s3_bucket_versioning.log,
    aws_s3_bucket_lifecycle_configuration.private,
  ]
}
