terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # The first that knows keys of Ed25519 in KMS.
      version = ">= 6.21"
    }
  }
}
