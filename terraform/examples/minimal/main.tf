# The least: a log that anybody may write to, under the distribution's own name.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.21"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

module "log" {
  source = "../.."

  name                = "example-log"
  origin              = "log.example.org"
  functions_directory = "${path.module}/../../../target/functions"
}

output "url" {
  value = module.log.url
}

output "vkeys" {
  value = module.log.vkeys
}
