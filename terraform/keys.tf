# The log's key, which never leaves KMS. Without it the log cannot go on under its name.

resource "aws_kms_key" "log" {
  count = local.kms ? 1 : 0

  description              = "Signs the checkpoints of ${var.origin}"
  customer_master_key_spec = "ECC_NIST_EDWARDS25519"
  key_usage                = "SIGN_VERIFY"
  deletion_window_in_days  = 30
  policy                   = data.aws_iam_policy_document.key.json
  tags                     = local.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "log" {
  count = local.kms ? 1 : 0

  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.log[0].key_id
}

data "aws_iam_policy_document" "key" {
  # The account's own policies decide: those of the functions' roles allow them to sign.
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }

  # Ed25519ph is not what signed notes use.
  statement {
    sid       = "WholeMessagesAlone"
    effect    = "Deny"
    actions   = ["kms:Sign"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "kms:SigningAlgorithm"
      values   = ["ED25519_SHA_512"]
    }
  }
}
