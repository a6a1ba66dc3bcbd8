variable "name" {
  description = "Name of the log among the account's resources."
  type        = string
}

variable "origin" {
  description = "Name of the log."
  type        = string
}

variable "public_bucket" {
  description = "Name of the bucket that everyone may read through the distribution."
  type        = string
}

variable "private_bucket" {
  description = "Name of the bucket for slots and the inbox, which only the functions read."
  type        = string
}

variable "partition" {
  description = "AWS partition, as in ARNs."
  type        = string
  default     = "aws"
}

variable "upload_role_arn" {
  description = "Role of the write function."
  type        = string
}

variable "maintain_role_arn" {
  description = "Role of the scheduled function."
  type        = string
}

variable "distribution_arn" {
  description = "Distribution that reads the public bucket; null where there is none."
  type        = string
  default     = null
}

variable "cut_slots" {
  description = "Whether the scheduled function may replace old slots by their headers."
  type        = bool
  default     = false
}

variable "lock_tiles" {
  description = "Whether writers lock full tiles and bundles."
  type        = bool
  default     = false
}

variable "signing_key_arn" {
  description = "KMS key that signs checkpoints; null where the keys are secrets."
  type        = string
  default     = null
}

variable "secret_arns" {
  description = "Secrets Manager secrets and SSM parameters that hold keys of the log."
  type        = list(string)
  default     = []
}

variable "bucket_key_arn" {
  description = "KMS key that encrypts the private bucket; null for keys of S3."
  type        = string
  default     = null
}

variable "log_group_arns" {
  description = "Log groups of the functions: upload, maintain."
  type        = object({ upload = string, maintain = string })
}

variable "api_id" {
  description = "The HTTP API."
  type        = string
}
