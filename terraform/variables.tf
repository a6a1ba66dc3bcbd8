variable "name" {
  description = "Name of the log among the account's resources: the prefix of all names."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}[a-z0-9]$", var.name))
    error_message = "The name has 4 to 32 of a-z, 0-9 and -, begins with a letter and does not end with -."
  }
}

variable "origin" {
  description = "Name of the log, for ever: the bare host name of its public URL."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(/[a-z0-9-]+)*$", var.origin))
    error_message = "The origin is a host name, without scheme and port."
  }
}

variable "functions_directory" {
  description = "Directory with upload.zip and maintain.zip, each with the function as bootstrap."
  type        = string
}

variable "architecture" {
  description = "Architecture that the functions are built for."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture is x86_64 or arm64."
  }
}

variable "raw" {
  description = "Whether the log takes any bytes by POST /add, and no Rekor entries. Decided when it is made."
  type        = bool
  default     = false
}

variable "keys" {
  description = "Keys of the log: secret:NAME or ssm:NAME, the Ed25519 key first. Empty for a key of KMS that this module makes."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for key in var.keys : can(regex("^(secret|ssm):.+$", key))])
    error_message = "A key is secret:NAME or ssm:NAME."
  }
}

variable "key_arns" {
  description = "ARNs of the secrets and parameters that keys names, which the functions may read."
  type        = list(string)
  default     = []
}

variable "writers" {
  description = "Who may write: open, token (tegula token), iam (AWS signatures, for and at api_url), or oidc (a token of one of the issuers that oidc names)."
  type        = string
  default     = "open"

  validation {
    condition     = contains(["open", "token", "iam", "oidc"], var.writers)
    error_message = "Writers are open, token, iam or oidc."
  }
}

variable "oidc" {
  description = "With writers = oidc: issuers by their URLs, the audiences of their tokens, and what these have to claim: for each claim patterns, in which * stands for anything."
  type = list(object({
    issuer    = string
    audiences = list(string)
    claims    = map(list(string))
  }))
  default = []

  validation {
    condition     = alltrue([for oidc in var.oidc : startswith(oidc.issuer, "https://") && length(oidc.audiences) > 0 && length(oidc.claims) > 0])
    error_message = "An issuer is an https URL, with one audience and one claim at least."
  }

  validation {
    condition     = (var.writers == "oidc") == (length(var.oidc) > 0)
    error_message = "Issuers belong to writers = oidc, which needs one at least."
  }
}

variable "allowed_keys" {
  description = "SHA-256 of the SPKI of each key whose signatures are logged, in hexadecimal; empty for all keys."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for key in var.allowed_keys : can(regex("^[0-9a-f]{64}$", key))])
    error_message = "A key is given by 64 hexadecimal digits in lower case."
  }

  # Lambda takes 4 KB of environment; the rest of it is less than one.
  validation {
    condition     = length(join(" ", var.allowed_keys)) + length(jsonencode(var.oidc)) <= 3072
    error_message = "The keys and the issuers that oidc names have 3,072 bytes together, 65 of them for a key."
  }
}

variable "duplicates" {
  description = "How an entry that is in the log already is answered: existing (201) or conflict (409, as Rekor v2)."
  type        = string
  default     = "existing"

  validation {
    condition     = contains(["existing", "conflict"], var.duplicates)
    error_message = "Duplicates are answered with existing or conflict."
  }
}

variable "dedup_window" {
  description = "How many of the last leaves a process holds to recognise duplicates; a cold start reads a tile for each 256. Older ones are looked up in the search index."
  type        = number
  default     = 16384

  validation {
    condition     = var.dedup_window >= 0 && var.dedup_window <= 1048576
    error_message = "The window has 0 to 1,048,576 leaves."
  }
}

variable "search_index" {
  description = "Whether there is a search index beside the log."
  type        = bool
  default     = true
}

variable "keep_slots" {
  description = "Number of the last leaves whose slots stay whole; null for all of them, which is the log's backup."
  type        = number
  default     = null

  validation {
    condition     = var.keep_slots == null || try(var.keep_slots >= 1048576, false)
    error_message = "At least the slots of 1,048,576 leaves stay whole."
  }
}

variable "check_days" {
  description = "In so many days every entry and tile is read and verified again."
  type        = number
  default     = 30

  validation {
    condition     = var.check_days >= 1 && var.check_days <= 365
    error_message = "A round of checks takes 1 to 365 days."
  }
}

variable "memory_mb" {
  description = "Memory of the functions in MB, and with it their share of a CPU."
  type        = object({ upload = optional(number, 512), maintain = optional(number, 512) })
  default     = {}
}

variable "concurrency" {
  description = "How many of each function run at one time, which the account's quota has to have room for: 0 stops it, -1 is what the quota leaves."
  type        = object({ upload = optional(number, -1), maintain = optional(number, 2) })
  default     = {}
}

variable "throttle" {
  description = "Requests a second that the API takes, and how many at once."
  type        = object({ rate = optional(number, 500), burst = optional(number, 1000) })
  default     = {}
}

variable "rate_limit_per_address" {
  description = "Uploads from one address in five minutes; null for no limit. It takes a web ACL, which costs some dollars a month."
  type        = number
  default     = null

  validation {
    condition     = var.rate_limit_per_address == null || try(var.rate_limit_per_address >= 10, false)
    error_message = "The limit is 10 or more."
  }
}

variable "domain" {
  description = "Host name of the log and the certificate for it, in us-east-1; null for the distribution's own name."
  type        = object({ name = string, certificate_arn = string, zone_id = optional(string) })
  default     = null
}

variable "price_class" {
  description = "Where the distribution has caches."
  type        = string
  default     = "PriceClass_100"

  validation {
    condition     = contains(["PriceClass_100", "PriceClass_200", "PriceClass_All"], var.price_class)
    error_message = "The price class is PriceClass_100, PriceClass_200 or PriceClass_All."
  }
}

variable "object_lock_days" {
  description = "Days for which writers lock each full tile and bundle, in governance mode; null for no locks. Whether there are any is decided when the bucket is made."
  type        = number
  default     = null

  validation {
    condition     = var.object_lock_days == null || try(var.object_lock_days >= 1 && var.object_lock_days <= 36500, false)
    error_message = "A lock holds for 1 to 36,500 days."
  }
}

variable "bucket_key_arn" {
  description = "KMS key that encrypts the private bucket; null for keys of S3, which the public bucket always has."
  type        = string
  default     = null
}

variable "access_logs_bucket" {
  description = "Bucket for access logs of the distribution, as <name>.s3.amazonaws.com; null for none."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days for which the functions' logs are kept."
  type        = number
  default     = 90
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms go to."
  type        = list(string)
  default     = []
}

variable "monthly_budget_usd" {
  description = "Dollars a month above which the budget alarm tells alarm_topic_arns; null for none."
  type        = number
  default     = null

  validation {
    condition     = var.monthly_budget_usd == null || length(var.alarm_topic_arns) > 0
    error_message = "A budget tells a topic: alarm_topic_arns names one at least."
  }
}

variable "tags" {
  description = "Tags of every resource that can have some."
  type        = map(string)
  default     = {}
}
