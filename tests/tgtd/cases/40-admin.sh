# shellcheck shell=bash disable=SC2154  # what lib.sh defines
# The other modes of tgtadm: system, portal, session, connection, statistics.

case_sys_show() {
  local text
  tgtd_start
  text=$(srp --mode sys --op show)
  assert_match 'sys show' '^System:$' "$text"
  assert_match 'sys show' '^    srp: ready$' "$text"
  assert_match 'sys show' '^SRP' "$text"
  # Other drivers' shows stay their own.
  assert_no_match 'sys show of iscsi' '^SRP' "$(adm --lld iscsi --mode sys --op show)"
}

case_sys_state() {
  tgtd_start
  target_add 1
  adm --mode sys --op update --name State -v offline
  assert_match 'sys show' '^    State: offline$' "$(srp --mode sys --op show)"
  sleep 1  # the driver looks at the system's state now and then
  adm --mode sys --op update --name State -v ready
  assert_match 'sys show' '^    State: ready$' "$(srp --mode sys --op show)"
}

case_sys_update_of_unknown_name() {
  tgtd_start
  refused 'invalid request|unknown parameter' srp --mode sys --op update --name no-such-name -v 1
  assert_logged 'srp: system parameter no-such-name=1 is unknown or no single value'
  refused 'invalid request|unknown parameter' srp --mode sys --op update --name State -v odd
  refused 'supported' srp --mode sys --op update --name use_srq -v true
  assert_logged 'srp: use_srq cannot change while tgtd runs: set it in /etc/tgt/srp.conf'
}

trace() { srp --mode sys --op show | sed -n 's/^    Trace: //p'; }
set_trace() { srp --mode sys --op update --name trace_flag --value "$1"; }

case_sys_update_of_trace_flag() {
  tgtd_start
  assert_equal trace 'none (0)' "$(trace)"
  set_trace login,task
  assert_equal trace 'login,task (17)' "$(trace)"
  assert_logged 'srp: trace: login,task \(17\)'
  target_add 1
  set_trace 0x40
  refused 'unknown parameter' srp --mode target --op update --tid 1 --name x --value y
  assert_logged 'srp: \[admin\] update: .*target 1, .* x$'
  set_trace none
  assert_equal trace 'none (0)' "$(trace)"
}

case_sys_update_of_trace_flag_to_nonsense() {
  tgtd_start
  set_trace 5
  refused 'invalid request' set_trace tasks
  refused 'invalid request' set_trace 128
  assert_logged 'srp: trace_flag=tasks: write a number up to 127, all, none, or names out of login,'
  assert_equal trace 'login,iu (5)' "$(trace)"
}

case_sys_show_of_trace_flag_in_the_file() {
  echo 'trace_flag = 10;' >srp.conf
  tgtd_start TGT_SRP_CONF="$PWD/srp.conf"
  assert_equal trace 'channel,data (10)' "$(trace)"
}

# Without RDMA nothing can listen yet: the portals are shown with the reason.
case_portal_show() {
  tgtd_start
  assert_match 'portal show' '^Portal: .*5000 not listening: .' "$(srp --mode portal --op show)"
}

case_portal_life() {
  tgtd_start
  srp --mode portal --op new --param portal=10.9.8.7:5001
  srp --mode portal --op new --param 'portal=[2001:db8::1]'
  assert_match 'portal show' '^Portal: 10\.9\.8\.7:5001 ' "$(srp --mode portal --op show)"
  assert_match 'portal show' '^Portal: \[2001:db8::1\]:5000 ' "$(srp --mode portal --op show)"
  refused 'invalid request' srp --mode portal --op new --param portal=10.9.8.7:5001
  srp --mode portal --op delete --param portal=10.9.8.7:5001
  assert_no_match 'portal show' '10\.9\.8\.7' "$(srp --mode portal --op show)"
  refused 'invalid request' srp --mode portal --op delete --param portal=10.9.8.7:5001
}

case_portal_new_with_mistakes() {
  local portal
  tgtd_start
  for portal in nonsense 10.0.0.1:99999 10.0.0.1:0 '[::1' 10.0.0.1: 999.0.0.1:5000 ''; do
    refused 'invalid request' srp --mode portal --op new --param "portal=$portal"
    assert_logged "srp.*portal"
  done
  refused 'invalid request' srp --mode portal --op new --param "colour=blue"
}

case_portal_delete_of_none() {
  tgtd_start
  refused 'invalid request' srp --mode portal --op delete --param portal=10.0.0.1:5000
}

case_conn_show_without_sessions() {
  tgtd_start
  target_add 1
  assert_equal 'conn show' '' "$(srp --mode conn --op show --tid 1)"
  refused "can't find the target" srp --mode conn --op show --tid 9
}

# The tool's message says what kind of thing is missing, the log which one.
case_conn_delete_of_none() {
  tgtd_start
  target_add 1
  refused "can't find the (session|connection)" srp --mode conn --op delete --tid 1 --sid 77 --cid 0
  assert_logged 'srp.*77'
  refused "can't find the target" srp --mode conn --op delete --tid 9 --sid 77 --cid 0
}

case_session_show_is_no_operation() {
  tgtd_start
  target_add 1
  refused 'invalid request|not supported' srp --mode session --op show --tid 1
  refused 'invalid request|not supported' srp --mode session --op show
}

case_session_delete_of_none() {
  tgtd_start
  target_add 1
  refused "can't find the session" srp --mode session --op delete --tid 1 --sid 77
  refused "can't find the target" srp --mode session --op delete --tid 9 --sid 77
}

case_stat() {
  tgtd_start
  target_add 1
  lun_add 1 1
  assert_match 'target stat' '^tgt +lun' "$(srp --mode target --op stat --tid 1)"
  assert_match 'lu stat' '^tgt +lun' "$(srp --mode logicalunit --op stat --tid 1 --lun 1)"
  assert_match 'sys stat' '^tgt +lun' "$(srp --mode sys --op stat)"
  assert_no_match 'session stat' '^ *1 ' "$(srp --mode session --op stat --tid 1)"
  assert_no_match 'conn stat' '^ *1 ' "$(srp --mode conn --op stat --tid 1)"
  refused "can't find the target" srp --mode session --op stat --tid 9 --sid 77
}

# SRP has no authentication; that tgtd keeps accounts for every driver must do no harm.
case_account_is_of_no_use() {
  tgtd_start
  target_add 1
  srp --mode account --op new --user someone --password secret123456
  srp --mode account --op bind --tid 1 --user someone || true
  assert_alive
  target_delete 1
}

# What tgtadm lets through, in every mode and operation: nothing here is allowed to end the daemon.
case_requests_with_odd_numbers() {
  local mode op options
  tgtd_start
  target_add 1
  lun_add 1 1
  for mode in target session conn portal; do
    for op in show update stat new delete bind unbind; do
      for options in '' '--tid 1' '--tid 99' '--tid 1 --sid 0' '--tid 1 --sid 18446744073709551615 --cid 4294967295' \
        '--tid 1 --sid 1 --cid 1 --lun 18446744073709551615'; do
        [[ "$mode $op" != 'target delete' || $options != *'--tid 1'* ]] || continue
        # shellcheck disable=SC2086  # options and their values
        srp --mode "$mode" --op "$op" $options >/dev/null 2>&1 || true
        assert_alive
      done
    done
  done
  assert_equal targets target-1 "$(names)"
}

case_requests_with_long_values() {
  local long
  tgtd_start
  target_add 1
  long=$(printf 'x%.0s' {1..6000})
  refused 'unknown parameter' srp --mode target --op update --tid 1 --name "$long" -v 1
  refused '' srp --mode sys --op update --name no-such-name -v "$long"
  refused 'invalid request' srp --mode portal --op new --param "portal=$long"
  srp --mode target --op bind --tid 1 -I "$long"
  srp --mode target --op show --tid 1 >/dev/null
  answers || fail 'tgtd does not answer'
}

case_requests_with_format_characters() {
  tgtd_start
  target_add 1
  refused 'unknown parameter' srp --mode target --op update --tid 1 --name '%s%n%s%n' -v '%n'
  refused '' srp --mode sys --op update --name '%n%n' -v '%n'
  refused 'invalid request' srp --mode portal --op new --param 'portal=%s%n%s'
}
