# shellcheck shell=bash disable=SC2154  # what lib.sh defines
# The process: signals, its end, memory.

case_process_ends_when_told() {
  tgtd_start
  target_add 1
  refused 'invalid request' adm --mode system --op delete
  target_delete 1
  tgtd_ends adm --mode system --op delete
}

case_process_ignores_sigterm() {
  tgtd_start
  kill -TERM "$tgtd_pid"
  kill -PIPE "$tgtd_pid"
  sleep 1
  assert_alive
  target_add 1
  assert_equal 'state of srp' ready "$(lld srp)"
}

# tgtd's disk threads signal the process when an I/O has ended: a thread that does not block SIGUSR2 ends it.
case_process_blocks_sigusr2_in_every_thread() {
  local status
  tgtd_start
  target_add 1
  lun_add 1 1
  srp --mode lld --op show >/dev/null
  for status in "/proc/$tgtd_pid/task/"*/status; do
    # SIGUSR2 is signal 12, bit 11.
    ((0x$(awk '/^SigBlk:/ {print $2}' "$status") & 0x800)) || fail "SIGUSR2 is not blocked in $(head -n 1 "$status")"
  done
  kill -USR2 "$tgtd_pid"
  sleep 0.5
  assert_alive
  target_delete 1
}

# Without RDMA the driver tries again and again; that must cost next to nothing, leave nothing behind, and be quiet.
case_process_is_idle() {
  local ticks files lines
  tgtd_start
  target_add 1
  sleep 1
  ticks=$(cpu_ticks) files=$(open_files) lines=$(wc -l <"$tgtd_log")
  sleep 4
  (($(cpu_ticks) - ticks <= 40)) || fail "$(($(cpu_ticks) - ticks)) ticks of 10 ms in 4 s"
  assert_equal 'open files' "$files" "$(open_files)"
  assert_equal 'lines in the log' "$lines" "$(wc -l <"$tgtd_log")"
}

cpu_ticks() { awk '{print $14 + $15}' "/proc/$tgtd_pid/stat"; }

# Every fd of ours is closed on exec, or call_program's children inherit it. fdinfo's flags are octal; 02000000 is
# O_CLOEXEC. tgtd's own fds are those of a daemon without the plugin.
case_process_closes_files_on_exec() {
  local without
  mv "$modules/lld_srp.so" kept
  tgtd_start
  without=$(inherited)
  tgtd_stop
  mv kept "$modules/lld_srp.so"
  tgtd_start
  assert_equal 'files without close-on-exec' "$without" "$(inherited)"
}

inherited() {
  local info count=0
  for info in "/proc/$tgtd_pid/fdinfo/"*; do
    (($(awk '/^flags:/ {print "0" $2}' "$info") & 02000000)) || count=$((count + 1))
  done
  echo "$count"
}

# valgrind_session: something of everything that needs no initiator.
valgrind_session() {
  tgtd_start TGT_SRP_CONF="$PWD/srp.conf"
  target_add 1
  target_add 2
  lun_add 1 1
  srp --mode target --op bind --tid 1 -I ALL
  srp --mode target --op update --tid 1 --name MaxBurstLength -v 1
  srp --mode target --op update --tid 1 --name odd -v 1 || true
  for mode in sys target portal; do srp --mode "$mode" --op show; done
  srp --mode target --op show --tid 1
  srp --mode conn --op show --tid 1
  srp --mode conn --op delete --tid 1 --sid 5 --cid 0 || true
  srp --mode portal --op new --param portal=nonsense || true
  target_delete 1
  adm --mode target --op delete --tid 2
  sleep 2
  srp --mode lld --op stop
  srp --mode lld --op start
  tgtd_stop
}

# tgtd has errors and leaks of its own; ours are those with the plugin in their stack.
case_process_under_valgrind() {
  local ours
  command -v valgrind >/dev/null || skip_case 'valgrind is not installed'
  printf 'credits = 16;\n' >srp.conf
  # shellcheck disable=SC2034  # for tgtd_start
  runner="valgrind -q --leak-check=full --show-leak-kinds=definite,indirect --num-callers=30"
  runner+=" --log-file=$case_log/valgrind"
  valgrind_session >/dev/null
  ours=$(awk -v RS='\n==[0-9]+== \n' '/lld_srp\.so|srp::/' "$case_log/valgrind")
  assert_equal 'what valgrind found in the plugin' '' "$ours"
}

# A disk's data passes through only with an initiator: tests/suites/guest.
