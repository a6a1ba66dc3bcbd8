# What may be done to the log's objects, how long answers are kept, and what alarms are about (alarms.tf): the logic of the module, without a
# provider, so that it can be tested anywhere. tests/terraform carries the same documents out on a stand-in.

locals {
  public  = "arn:${var.partition}:s3:::${var.public_bucket}"
  private = "arn:${var.partition}:s3:::${var.private_bucket}"

  # Never changed and never removed, by nobody. Partial tiles are superseded, and may go.
  immutable = concat(
    ["${local.public}/tile/*", "${local.public}/attestations/*"],
    # All of the index but its checkpoint.
    [for part in ["tile", "run", "list", "state"] : "${local.public}/index/v1/${part}/*"],
  )
  partial = "${local.public}/tile/*.p/*"

  # What the scheduled function remembers.
  notes = ["base", "checked", "cut", "history"]

  insecure = { Bool = { "aws:SecureTransport" = "false" } }

  # Conditions on a key that is absent: a write that does not say what it expects to find.
  no_if_none_match = { Null = { "s3:if-none-match" = "true" } }
  no_if_match      = { Null = { "s3:if-match" = "true" } }
  no_condition     = { Null = { "s3:if-none-match" = "true", "s3:if-match" = "true" } }
}

locals {
  public_bucket_statements = concat(
    [for statement in [
      {
        Sid       = "DistributionReads"
        Effect    = "Allow"
        Principal = { Service = "cloudfront.amazonaws.com" }
        Action    = "s3:GetObject"
        Resource  = "${local.public}/*"
        Condition = { StringEquals = { "AWS:SourceArn" = var.distribution_arn } }
      },
      {
        # So that what is not there is answered with 404, and not with 403.
        Sid       = "DistributionKnowsWhatIsAbsent"
        Effect    = "Allow"
        Principal = { Service = "cloudfront.amazonaws.com" }
        Action    = "s3:ListBucket"
        Resource  = local.public
        Condition = { StringEquals = { "AWS:SourceArn" = var.distribution_arn } }
      },
    ] : statement if var.distribution_arn != null],
    [
      {
        Sid       = "EncryptedInTransit"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.public, "${local.public}/*"]
        Condition = local.insecure
      },
      {
        # A tile is made where none is: not even our own functions can overwrite one.
        Sid       = "TilesAreMadeOnce"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = local.immutable
        Condition = local.no_if_none_match
      },
      {
        Sid       = "CheckpointIsReplacedAsRead"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = ["${local.public}/checkpoint", "${local.public}/index/v1/checkpoint", "${local.public}/log.json"]
        Condition = local.no_condition
      },
      {
        # But for what is superseded, and what a writer tries the store with.
        Sid         = "NothingIsRemoved"
        Effect      = "Deny"
        Principal   = "*"
        Action      = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        NotResource = [local.partial, "${local.public}/probe/*"]
      },
      {
        # Governance mode lets whoever may do this remove what is locked.
        Sid       = "LocksHold"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:BypassGovernanceRetention"
        Resource  = "${local.public}/*"
      },
      {
        Sid       = "BucketStays"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:DeleteBucket", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration", "s3:PutBucketObjectLockConfiguration"]
        Resource  = local.public
      },
    ],
  )

  private_bucket_statements = [
    {
      Sid       = "EncryptedInTransit"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.private, "${local.private}/*"]
      Condition = local.insecure
    },
    {
      # A slot's name is taken once, ever.
      Sid       = "SlotsAreMadeOnce"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = "${local.private}/wal/*"
      Condition = merge(
        local.no_if_none_match,
        # Old ones may be replaced by their own headers, by one role.
        { for operator, key in { ArnNotEquals = { "aws:PrincipalArn" = var.maintain_role_arn } } : operator => key if var.cut_slots },
      )
    },
    {
      Sid       = "SlotsAreCutAsRead"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = "${local.private}/wal/*"
      Condition = local.no_condition
    },
    {
      Sid       = "ItemsAreMadeOnce"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = "${local.private}/inbox/*"
      Condition = local.no_if_none_match
    },
    {
      Sid       = "SlotsStay"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
      Resource  = "${local.private}/wal/*"
    },
    {
      # A lifecycle could remove slots, and so free their names.
      Sid       = "BucketStays"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["s3:DeleteBucket", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration"]
      Resource  = local.private
    },
  ]
}

locals {
  # What both functions do: they are writers.
  writer_statements = concat(
    [
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = ["${local.public}/*", "${local.private}/*"]
      },
      {
        Sid      = "KnowWhatIsAbsent"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = [local.public, local.private]
      },
      {
        Sid    = "Write"
        Effect = "Allow"
        Action = "s3:PutObject"
        Resource = [
          "${local.public}/tile/*",
          "${local.public}/attestations/*",
          # Base runs of the index, beside the bundles that a writer completes.
          "${local.public}/index/v1/run/0/*",
          "${local.public}/checkpoint",
          "${local.private}/wal/*",
          "${local.private}/inbox/*",
        ]
      },
      {
        Sid      = "RemoveItems"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = "${local.private}/inbox/*"
      },
    ],
    [for statement in [
      {
        Sid      = "LockTiles"
        Effect   = "Allow"
        Action   = "s3:PutObjectRetention"
        Resource = "${local.public}/tile/*"
      },
    ] : statement if var.lock_tiles],
    [for statement in [
      {
        Sid      = "SignWholeMessages"
        Effect   = "Allow"
        Action   = "kms:Sign"
        Resource = var.signing_key_arn
        Condition = {
          StringEquals = { "kms:SigningAlgorithm" = "ED25519_SHA_512", "kms:MessageType" = "RAW" }
        }
      },
      {
        Sid      = "KnowTheKey"
        Effect   = "Allow"
        Action   = "kms:GetPublicKey"
        Resource = var.signing_key_arn
      },
    ] : statement if var.signing_key_arn != null],
    [for statement in [
      {
        Sid      = "ReadKeys"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue", "ssm:GetParameter"]
        Resource = var.secret_arns
      },
    ] : statement if length(var.secret_arns) > 0],
    [for statement in [
      {
        Sid      = "UseThePrivateBucketsKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.bucket_key_arn
      },
    ] : statement if var.bucket_key_arn != null],
  )

  maintain_statements = [
    {
      Sid    = "Remember"
      Effect = "Allow"
      Action = "s3:PutObject"
      Resource = concat(
        [for note in local.notes : "${local.private}/${note}"],
        # The log's description is made with the log.
        ["${local.public}/log.json"],
        [for root in [local.public, local.private] : "${root}/probe/*"],
      )
    },
    {
      # The search index, and how far its merges are.
      Sid      = "Index"
      Effect   = "Allow"
      Action   = "s3:PutObject"
      Resource = ["${local.public}/index/v1/*", "${local.private}/index-work/*"]
    },
    {
      Sid      = "RemoveWhatIsSuperseded"
      Effect   = "Allow"
      Action   = "s3:DeleteObject"
      Resource = [local.partial, "${local.public}/probe/*", "${local.private}/probe/*", "${local.private}/index-work/*"]
    },
  ]

  logs = {
    for function, group in var.log_group_arns : function => {
      Sid      = "Tell"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${group}:*"
    }
  }
}

# What versioning keeps of objects that were replaced or removed, below a prefix: for so many days, and of what is replaced again and again some in
# any case. What is there stays: nothing here may ever remove a slot, since a name that is free again forks the log.
locals {
  removed  = { days = 7, kept = null, markers = true }
  replaced = { days = 7, kept = 10, markers = false }

  old_versions = {
    public = {
      "tile/"               = local.removed
      "probe/"              = local.removed
      "checkpoint"          = local.replaced
      "index/v1/checkpoint" = local.replaced
    }
    private = merge(
      { for note in concat(local.notes, ["tokens.json"]) : note => local.replaced },
      {
        "inbox/" = merge(local.removed, { days = 1 })
        "probe/" = local.removed
        # It can be made again.
        "index-work/" = merge(local.removed, { days = 1 })
        # Slots that were cut.
        "wal/" = { days = 30, kept = null, markers = false }
      },
    )
  }
}

# How long what is answered is kept, by its path; the first that matches counts.
locals {
  cache_rules = [
    { path = "checkpoint", origin = "bucket", min_ttl = 0, default_ttl = 1, max_ttl = 2 },
    { path = "index/v1/checkpoint", origin = "bucket", min_ttl = 0, default_ttl = 1, max_ttl = 2 },
    { path = "log.json", origin = "bucket", min_ttl = 0, default_ttl = 60, max_ttl = 60 },
    { path = "api/*", origin = "api", min_ttl = 0, default_ttl = 0, max_ttl = 0 },
    { path = "add", origin = "api", min_ttl = 0, default_ttl = 0, max_ttl = 0 },
    { path = "healthz", origin = "api", min_ttl = 0, default_ttl = 0, max_ttl = 0 },
    { path = "*", origin = "bucket", min_ttl = 0, default_ttl = 86400, max_ttl = 31536000 },
  ]

  # Seconds. Without these an early request hides a partial tile that was just published.
  error_ttl = { 403 = 1, 404 = 1, 500 = 0, 502 = 0, 503 = 0, 504 = 0 }

  routes = [
    "POST /api/v2/log/entries", "POST /api/v2/log/entries/batch",
    "POST /api/v1/log/entries", "GET /api/v1/log/entries", "GET /api/v1/log/entries/{uuid}",
    # As Rekor v2 has reads, for whoever asks so: by the function, which has no answers of more than 6 MB. At / the bucket answers.
    "GET /api/v2/{proxy+}",
    "POST /add", "OPTIONS /{proxy+}", "GET /healthz",
  ]
}
