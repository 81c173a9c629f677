# shellcheck shell=bash disable=SC2154  # what lib.sh defines
# `--mode lld`: the driver is stopped and started again within one process.

case_lld_show() {
  local text
  tgtd_start
  target_add 3
  text=$(adm --mode lld --op show)
  assert_match 'lld show' '^    srp: ready$' "$text"
  assert_match 'lld show' '^        Target 3: target-3$' "$text"
}

case_lld_stop_and_start() {
  tgtd_start
  srp --mode lld --op stop
  assert_equal 'state of srp' stopped "$(lld srp)"
  refused "can't find the driver" target_add 1
  refused "can't find the driver" srp --mode sys --op show
  srp --mode lld --op start
  assert_equal 'state of srp' ready "$(lld srp)"
  target_add 1
  assert_match 'sys show' 'srp' "$(srp --mode sys --op show)"
}

case_lld_stop_and_start_twice() {
  tgtd_start
  srp --mode lld --op start
  assert_equal 'state of srp' ready "$(lld srp)"
  srp --mode lld --op stop
  srp --mode lld --op stop
  assert_equal 'state of srp' stopped "$(lld srp)"
  srp --mode lld --op start
  srp --mode lld --op start
  assert_equal 'state of srp' ready "$(lld srp)"
}

case_lld_stop_is_refused_with_targets() {
  tgtd_start
  target_add 1
  refused 'this driver is busy' srp --mode lld --op stop
  assert_equal 'state of srp' ready "$(lld srp)"
  adm --mode target --op delete --tid 1
  srp --mode lld --op stop
  srp --mode lld --op start
}

# tgtd calls exit() once more for a driver that has been stopped.
case_lld_stop_before_the_end() {
  tgtd_start
  srp --mode lld --op stop
  tgtd_ends adm --mode system --op delete
}

case_lld_stop_leaves_nothing_behind() {
  local files threads_before round
  tgtd_start
  srp --mode lld --op stop
  srp --mode lld --op start
  files=$(open_files) threads_before=$(threads)
  for round in {1..10}; do
    srp --mode lld --op stop
    srp --mode lld --op start
    target_add "$round"
    target_delete "$round"
  done
  assert_equal 'open files' "$files" "$(open_files)"
  assert_equal 'threads' "$threads_before" "$(threads)"
}

# What a stopped driver holds must be less than what a started one holds, or nothing was stopped.
case_lld_stop_closes_files() {
  local before
  tgtd_start
  before=$(open_files)
  srp --mode lld --op stop
  (($(open_files) < before)) || fail "$before files before, $(open_files) after"
  assert_equal 'threads' 1 "$(threads)"
}

case_lld_of_another_driver() {
  tgtd_start
  target_add 1
  adm --lld iscsi --mode lld --op stop
  assert_equal 'state of srp' ready "$(lld srp)"
  target_add 2
  adm --lld iscsi --mode lld --op start
  assert_equal targets 'target-1 target-2' "$(names)"
}
