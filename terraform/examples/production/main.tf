# A log of an organisation: a name of its own, tokens to write, locks, limits and alarms.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.21"
    }
  }

  # State holds no secret of the log, and says where it is: keep it somewhere safe.
  backend "s3" {
    bucket       = "example-terraform-state"
    key          = "log.example.org"
    region       = "eu-central-1"
    use_lockfile = true
  }
}

variable "zone_id" {
  description = "Zone of Route 53 for the log's host name."
  type        = string
}

variable "certificate_arn" {
  description = "Certificate for the log's host name, in us-east-1."
  type        = string
}

variable "alarm_topic_arn" {
  description = "SNS topic that alarms go to."
  type        = string
}

provider "aws" {
  region = "eu-central-1"
}

module "log" {
  source = "../.."

  name                = "example-log"
  origin              = "log.example.org"
  functions_directory = "${path.module}/../../../target/functions"

  domain = {
    name            = "log.example.org"
    certificate_arn = var.certificate_arn
    zone_id         = var.zone_id
  }

  writers                = "token"
  throttle               = { rate = 200, burst = 400 }
  rate_limit_per_address = 1000
  concurrency            = { upload = 200 }
  object_lock_days       = 365
  check_days             = 30
  log_retention_days     = 365
  price_class            = "PriceClass_All"
  alarm_topic_arns       = [var.alarm_topic_arn]
  monthly_budget_usd     = 100
  tags                   = { team = "supply-chain" }
}

output "url" {
  value = module.log.url
}

output "policy" {
  value = module.log.policy
}
