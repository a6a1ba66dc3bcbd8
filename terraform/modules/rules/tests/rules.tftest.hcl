variables {
  name              = "log"
  origin            = "log.example"
  api_id            = "api"
  public_bucket     = "log-public"
  private_bucket    = "log-private"
  upload_role_arn   = "arn:aws:iam::123456789012:role/upload"
  maintain_role_arn = "arn:aws:iam::123456789012:role/maintain"
  distribution_arn  = "arn:aws:cloudfront::123456789012:distribution/E1"
  signing_key_arn   = "arn:aws:kms:eu-central-1:123456789012:key/1"
  log_group_arns = {
    upload   = "arn:aws:logs:eu-central-1:123456789012:log-group:upload"
    maintain = "arn:aws:logs:eu-central-1:123456789012:log-group:maintain"
  }
}

run "nobody_overwrites_a_tile" {
  command = plan
  assert {
    condition = anytrue([
      for s in jsondecode(output.public_bucket_policy).Statement :
      s.Effect == "Deny" && try(s.Principal == "*", false) && s.Action == "s3:PutObject"
      && contains(flatten([try(s.Resource, [])]), "arn:aws:s3:::log-public/tile/*")
      && try(s.Condition.Null["s3:if-none-match"] == "true", false)
    ])
    error_message = "A tile can be put without If-None-Match."
  }
}

run "nobody_removes_a_slot" {
  command = plan
  assert {
    condition = anytrue([
      for s in jsondecode(output.private_bucket_policy).Statement :
      s.Effect == "Deny" && s.Principal == "*" && contains(flatten([s.Action]), "s3:DeleteObject")
      && contains(flatten([s.Action]), "s3:DeleteObjectVersion") && s.Resource == "arn:aws:s3:::log-private/wal/*"
      && !can(s.Condition)
    ])
    error_message = "A slot can be removed."
  }
  assert {
    condition = anytrue([
      for s in jsondecode(output.private_bucket_policy).Statement :
      s.Effect == "Deny" && s.Principal == "*" && contains(flatten([s.Action]), "s3:PutLifecycleConfiguration") && !can(s.Condition)
    ])
    error_message = "The lifecycle of the slots' bucket can be changed."
  }
}

run "only_maintain_cuts_slots_and_only_where_it_is_wanted" {
  command = plan
  variables {
    cut_slots = true
  }
  assert {
    condition = one([
      for s in jsondecode(output.private_bucket_policy).Statement : s if s.Sid == "SlotsAreMadeOnce"
    ]).Condition.ArnNotEquals["aws:PrincipalArn"] == "arn:aws:iam::123456789012:role/maintain"
    error_message = "Another role may replace slots."
  }
}

run "nobody_cuts_slots_otherwise" {
  command = plan
  assert {
    condition = !can(one([
      for s in jsondecode(output.private_bucket_policy).Statement : s if s.Sid == "SlotsAreMadeOnce"
    ]).Condition.ArnNotEquals)
    error_message = "Slots may be replaced."
  }
}

run "the_writer_removes_nothing_but_items" {
  command = plan
  assert {
    condition = alltrue([
      for s in jsondecode(output.upload_policy).Statement :
      !anytrue([for a in flatten([s.Action]) : can(regex("Delete|\\*", a))])
      || (s.Action == "s3:DeleteObject" && s.Resource == "arn:aws:s3:::log-private/inbox/*")
    ])
    error_message = "The write function may remove more than items of the inbox."
  }
}

run "maintain_removes_partial_tiles_items_and_probes_alone" {
  command = plan
  assert {
    condition = toset(flatten([
      for s in jsondecode(output.maintain_policy).Statement : s.Resource if contains(flatten([s.Action]), "s3:DeleteObject")
      ])) == toset([
      "arn:aws:s3:::log-private/inbox/*",
      "arn:aws:s3:::log-public/tile/*.p/*",
      "arn:aws:s3:::log-public/probe/*",
      "arn:aws:s3:::log-private/probe/*",
      "arn:aws:s3:::log-private/index-work/*",
    ])
    error_message = "The scheduled function may remove something else."
  }
}

run "the_writer_leaves_base_runs_and_nothing_else_of_the_index" {
  command = plan
  assert {
    condition = [
      for r in flatten([for s in jsondecode(output.upload_policy).Statement : s.Resource if s.Action == "s3:PutObject"]) : r if strcontains(r, "index")
    ] == ["arn:aws:s3:::log-public/index/v1/run/0/*"]
    error_message = "The write function may write something else of the index, or no base runs."
  }
  assert {
    condition = alltrue([
      for object in ["public/index/v1/*", "private/index-work/*"] :
      contains(flatten([for s in jsondecode(output.maintain_policy).Statement : s.Resource if s.Action == "s3:PutObject"]), "arn:aws:s3:::log-${object}")
    ])
    error_message = "The scheduled function cannot make the index."
  }
}

run "a_resident_writer_tries_the_store_writes_and_looks_after_it" {
  command = plan
  assert {
    condition = alltrue([
      for action, objects in {
        "s3:PutObject"    = ["public/tile/*", "public/checkpoint", "private/wal/*", "private/inbox/*", "private/checked", "private/history", "public/index/v1/*", "private/index-work/*", "public/probe/*", "private/probe/*"]
        "s3:DeleteObject" = ["public/tile/*.p/*", "private/inbox/*", "private/index-work/*", "public/probe/*", "private/probe/*"]
        "s3:GetObject"    = ["public/*", "private/*"]
        } : length(setsubtract([for object in objects : "arn:aws:s3:::log-${object}"], flatten([
          for s in jsondecode(output.resident_policy).Statement : s.Resource if s.Action == action
      ]))) == 0
    ])
    error_message = "A resident writer may not do what it has to."
  }
  assert {
    condition     = alltrue([for action in ["kms:Sign", "kms:GetPublicKey"] : contains([for s in jsondecode(output.resident_policy).Statement : s.Action], action)])
    error_message = "A resident writer cannot sign."
  }
}

run "locks_hold_and_are_set_only_where_they_are_wanted" {
  command = plan
  assert {
    condition = anytrue([
      for s in jsondecode(output.public_bucket_policy).Statement :
      s.Effect == "Deny" && try(s.Principal == "*", false) && s.Action == "s3:BypassGovernanceRetention" && !can(s.Condition)
    ])
    error_message = "What is locked can be removed."
  }
  assert {
    condition     = !strcontains(output.upload_policy, "s3:PutObjectRetention")
    error_message = "The write function may lock objects."
  }
}

run "writers_lock_tiles_where_that_is_wanted" {
  command = plan
  variables {
    lock_tiles = true
  }
  assert {
    condition = alltrue([
      for policy in [output.upload_policy, output.maintain_policy] :
      one([for s in jsondecode(policy).Statement : s if s.Action == "s3:PutObjectRetention"]).Resource == "arn:aws:s3:::log-public/tile/*"
    ])
    error_message = "A writer cannot lock what it writes, or locks something else."
  }
}

run "the_indexs_checkpoint_is_replaced_and_the_rest_is_not" {
  command = plan
  assert {
    condition = alltrue([
      for s in jsondecode(output.public_bucket_policy).Statement :
      !anytrue([for r in flatten([s.Resource]) : can(regex("^${replace(r, "*", ".*")}$", "arn:aws:s3:::log-public/index/v1/checkpoint"))])
      if s.Sid == "TilesAreMadeOnce"
    ])
    error_message = "The index's checkpoint can be made once alone."
  }
  assert {
    condition = alltrue([
      for part in ["tile", "run", "list", "state"] : contains(
      one([for s in jsondecode(output.public_bucket_policy).Statement : s if s.Sid == "TilesAreMadeOnce"]).Resource, "arn:aws:s3:::log-public/index/v1/${part}/*")
    ])
    error_message = "A part of the index can be overwritten."
  }
}

run "versions_that_were_replaced_do_not_pile_up" {
  command = plan
  assert {
    condition = alltrue([
      for object in ["public/checkpoint", "private/base", "private/checked", "private/cut", "private/history", "private/tokens.json"] :
      try(output.old_versions[split("/", object)[0]][split("/", object)[1]].kept > 0, false)
    ])
    error_message = "Old versions of something stay for ever, or none do."
  }
}

run "it_signs_whole_messages_alone" {
  command = plan
  assert {
    condition = alltrue([
      for s in jsondecode(output.upload_policy).Statement :
      s.Condition.StringEquals == { "kms:SigningAlgorithm" = "ED25519_SHA_512", "kms:MessageType" = "RAW" }
      if contains(flatten([s.Action]), "kms:Sign")
    ])
    error_message = "Something else than whole messages may be signed."
  }
}

run "no_role_may_do_everything" {
  command = plan
  assert {
    condition = alltrue([
      for s in concat(jsondecode(output.upload_policy).Statement, jsondecode(output.maintain_policy).Statement) :
      s.Effect == "Allow" && !contains(flatten([s.Resource]), "*")
    ])
    error_message = "A statement is about everything."
  }
}

run "checkpoints_and_errors_are_kept_for_a_second_or_two" {
  command = plan
  assert {
    condition     = alltrue([for r in output.cache_rules : r.max_ttl <= 2 if endswith(r.path, "checkpoint")])
    error_message = "A checkpoint is kept too long."
  }
  assert {
    condition     = alltrue([for status, ttl in output.error_ttl : ttl <= 1])
    error_message = "An error is kept too long."
  }
}

run "the_budget_is_about_the_logs_tag" {
  command = plan
  assert {
    condition     = output.cost_tag == join("$", ["user:tegula:log", "log.example"])
    error_message = "The budget is about a tag that no resource has."
  }
}

run "a_few_writes_that_failed_are_told" {
  command = plan
  assert {
    condition     = output.alarms["writes-failed"].threshold == 1 && output.alarms["writes-failed"].datapoints < output.alarms["writes-failed"].periods
    error_message = "A log with few uploads can fail them all, and nobody is told."
  }
}

run "an_index_that_is_behind_is_told" {
  command = plan
  assert {
    condition     = output.alarms["index-behind"].statistic == "Minimum" && output.alarms["index-behind"].datapoints == output.alarms["index-behind"].periods
    error_message = "An index that catches up within minutes is told to be behind."
  }
}

run "damage_is_not_told_to_be_over" {
  command = plan
  assert {
    condition     = [for name, alarm in output.alarms : name if !alarm.recovers] == ["self-check-failed"]
    error_message = "The minute after damage was found says that all is well."
  }
}
