# Of terraform/variables.tf alone: tests/terraform/run copies both to one place.

variables {
  name                = "example-log"
  origin              = "log.example"
  functions_directory = "."
}

run "what_is_said_is_taken" {
  command = plan
  variables {
    writers            = "oidc"
    oidc               = [{ issuer = "https://issuer.example", audiences = ["log"], claims = { sub = ["*"] } }]
    allowed_keys       = [for n in range(40) : sha256(n)]
    concurrency        = { maintain = -1 }
    monthly_budget_usd = 10
    alarm_topic_arns   = ["arn:aws:sns:eu-central-1:123456789012:alarms"]
  }
  assert {
    condition     = var.concurrency == { upload = -1, maintain = -1 }
    error_message = "Uploads are limited unasked."
  }
}

run "a_budget_needs_somebody_to_tell" {
  command = plan
  variables {
    monthly_budget_usd = 10
  }
  expect_failures = [var.monthly_budget_usd]
}

run "the_environment_of_a_function_is_4_kb" {
  command = plan
  variables {
    allowed_keys = [for n in range(48) : sha256(n)]
  }
  expect_failures = [var.allowed_keys]
}

run "a_lock_is_one_that_writers_take" {
  command = plan
  variables {
    object_lock_days = 36501
  }
  expect_failures = [var.object_lock_days]
}
