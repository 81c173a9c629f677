# shellcheck shell=bash disable=SC2154  # what lib.sh defines
# The plugin is loaded, in every way that tgtd can be started.

case_load_without_configuration() {
  tgtd_start
  assert_equal 'state of srp' ready "$(lld srp)"
  assert_no_match 'the configuration' 'srp\.conf:[0-9]+' "$(srp --mode sys --op show)"
}

case_load_with_the_example_configuration() {
  install -m 644 "$checkout/conf/srp.conf.example" /etc/tgt/srp.conf
  tgtd_start
  assert_equal 'state of srp' ready "$(lld srp)"
  assert_no_match 'the configuration' 'srp\.conf:[0-9]+' "$(srp --mode sys --op show)"
}

case_load_with_a_configuration_from_the_environment() {
  printf 'credits = 64;\n' >mine.conf
  printf 'credits = "broken";\n' >/etc/tgt/srp.conf
  tgtd_start TGT_SRP_CONF="$PWD/mine.conf"
  assert_equal 'state of srp' ready "$(lld srp)"
  assert_no_match 'the configuration' '\.conf:[0-9]+' "$(srp --mode sys --op show)"
}

# tgtd dlopens every file of the directory, so a left-over copy must not become a second driver.
case_load_of_a_copy_is_ignored() {
  cp "$modules/lld_srp.so" "$modules/lld_srp2.so"
  tgtd_start
  assert_equal 'drivers named srp' 1 "$(adm --mode lld --op show | grep -c '^    srp:')"
  assert_equal 'state of srp' ready "$(lld srp)"
  assert_equal 'log lines about the copy' 1 "$(logged 'srp: .*copy of the module is ignored')"
}

# The loader gives back the library it has, and tgtd calls its entry point again.
case_load_through_a_link_is_ignored() {
  ln -s lld_srp.so "$modules/lld_srp-link.so"
  tgtd_start
  assert_equal 'drivers named srp' 1 "$(adm --mode lld --op show | grep -c '^    srp:')"
  assert_equal 'state of srp' ready "$(lld srp)"
}

case_load_beside_a_file_that_is_no_module() {
  echo nonsense >"$modules/lld_srp.so.dpkg-new"
  tgtd_start
  assert_equal 'state of srp' ready "$(lld srp)"
}

case_load_without_rdma_says_why() {
  tgtd_start
  assert_match 'sys show' 'State: .*(RDMA|rdma)' "$(srp --mode sys --op show)"
  assert_equal 'state of srp' ready "$(lld srp)"
}

# Without RDMA the built-in iser fails, with messages of its own; iscsi and srp do not care.
case_load_beside_iser_and_iscsi() {
  tgtd_start
  assert_equal 'state of iscsi' ready "$(lld iscsi)"
  assert_match 'drivers' '^    iser: ' "$(adm --mode lld --op show)"
  adm --lld iscsi --mode target --op new --tid 1 --targetname iqn.2001-01.example:a
  target_add 2
  assert_equal targets 'iqn.2001-01.example:a target-2' "$(names)"
}

# The logger is forked before modules are loaded, and has nothing of ours.
case_load_in_the_background() {
  tgtd -C "$port" </dev/null >>"$tgtd_log" 2>&1
  wait_for 30 answers
  tgtd_pid=$(pgrep -o -x tgtd)
  daemons+=("$tgtd_pid")
  assert_equal 'state of srp' ready "$(lld srp)"
  target_add 1
  target_delete 1
  adm --mode system --op delete
  wait_for 30 gone "$tgtd_pid"
  wait_for 30 nothing_named_tgtd
  tgtd_pid=
}

nothing_named_tgtd() { ! pgrep -x tgtd >/dev/null; }

case_load_with_another_socket() {
  export TGT_IPC_SOCKET=$PWD/socket
  tgtd_start
  [[ -S $PWD/socket.$port ]] || fail "no socket $PWD/socket.$port"
  assert_equal 'state of srp' ready "$(lld srp)"
}

case_load_in_two_instances() {
  local first
  tgtd_start
  first=$tgtd_pid
  port=8 tgtd_start --iscsi portal=127.0.0.1:3261
  assert_equal 'state of srp, first' ready "$(lld srp)"
  assert_equal 'state of srp, second' ready "$(port=8 lld srp)"
  port=8 target_add 1 second
  target_add 1 first
  assert_equal 'targets, first' first "$(names)"
  assert_equal 'targets, second' second "$(port=8 names)"
  port=8 tgtd_stop
  tgtd_pid=$first
}

# What follows the options reaches every driver's init.
case_load_with_a_spare_argument() {
  tgtd_start spare
  assert_equal 'state of srp' ready "$(lld srp)"
}

case_load_with_debug_messages() {
  tgtd_start -d 1
  target_add 1
  adm --mode sys --op update --name debug -v off
  adm --mode sys --op update --name debug -v on
  target_delete 1
}

# Another tgtd of the same name: a SIGKILL leaves its socket and lock behind.
case_load_after_a_kill() {
  tgtd_start
  target_add 1
  kill -KILL "$tgtd_pid"
  wait "$tgtd_pid" 2>/dev/null || true
  tgtd_start
  assert_equal targets '' "$(names)"
  target_add 1
}
