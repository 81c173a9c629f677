# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# Logging in and out, by both families of addresses, and who may.

# A disk of the right size and make; the session is seen by the target, and is gone after the log-out.
logs_in_over() {
  local string host disk
  serve 64
  string=$(login_string 1 "$1") || fail "target 1 shows no Login: line for $1"
  host=$(srp_login "$string")
  disk=$(disk_of "$host" 1)
  assert_equal "size of $disk" $((64 << 20)) "$(blockdev --getsize64 "$disk")"
  assert_match "the disk's vendor" 'IET' "$(sg_inq "$disk")"
  dd if="$disk" of=/dev/null bs=1M iflag=direct status=none
  assert_equal sessions 1 "$(sessions 1)"
  srp_logout "$host"
  wait_for 20 has_sessions 1 0
  tgtd_stop
}

case_login_ipv4() { logs_in_over ipv4; }

case_login_ipv6() { logs_in_over ipv6; }

# id_ext alone tells two targets apart: they share the device, its address and the port.
case_two_targets() {
  local host1 host2
  tgtd_start
  target_add 1 && lun_add 1 1 32
  target_add 2 && lun_add 2 1 48
  host1=$(srp_login "$(login_string 1)")
  host2=$(srp_login "$(login_string 2)")
  assert_equal 'size of the disk of target 1' $((32 << 20)) "$(blockdev --getsize64 "$(disk_of "$host1" 1)")"
  assert_equal 'size of the disk of target 2' $((48 << 20)) "$(blockdev --getsize64 "$(disk_of "$host2" 1)")"
  assert_equal 'sessions of target 1' 1 "$(sessions 1)"
  assert_equal 'sessions of target 2' 1 "$(sessions 2)"
  srp_logout "$host1"
  srp_logout "$host2"
  wait_for 20 has_sessions 1 0
  wait_for 20 has_sessions 2 0
  tgtd_stop
}

# Nobody is admitted unless an ACL says so, and the administrator can read why.
case_refused() {
  local string host
  tgtd_start
  target_add 1 ''
  lun_add 1 1 32
  string=$(login_string 1)
  assert_fails add_target "$string"
  assert_match "tgtd's log" 'tgtd: .*srp: login refused' "$(<"$case_log/tgtd.log")"
  srpadm --mode target --op bind --tid 1 -I 192.168.77.0/24
  assert_fails add_target "$string"
  srpadm --mode target --op bind --tid 1 -I "$ipv4"
  host=$(srp_login "$string")
  disk_of "$host" 1
  srp_logout "$host"
  tgtd_stop
}

# tgtd is often started before its network is: the device may come later, and the login is possible soon after.
case_late_device() {
  local host disk
  rdma_down
  serve
  assert_equal 'portals without a device' 0 "$(srpadm --mode portal --op show | grep -c "$ipv4" || true)"
  rdma_up
  wait_for 60 has_login_string 1
  attach
  dd if="$disk" of=/dev/null bs=1M count=16 iflag=direct status=none
  srp_logout "$host"
  tgtd_stop
}

# What one login takes is given back. The first ten fill caches and pools; after them nothing may grow.
case_fifty_logins() {
  local string rss_10 fds_10 rss_50 fds_50
  serve
  string=$(login_string 1)
  logs_in_and_out 10 "$string"
  rss_10=$(memory_kib) fds_10=$(open_files)
  logs_in_and_out 40 "$string"
  rss_50=$(memory_kib) fds_50=$(open_files)
  note "tgtd after 10 logins: $rss_10 KiB, $fds_10 files; after 50: $rss_50 KiB, $fds_50 files"
  assert_equal 'open files after 50 logins, as after 10' "$fds_10" "$fds_50"
  ((rss_50 - rss_10 <= 512)) || fail "memory grows with logins: $rss_10 KiB after 10, $rss_50 KiB after 50"
  tgtd_stop
}

logs_in_and_out() {
  local host
  for _ in $(seq "$1"); do
    host=$(srp_login "$2")
    srp_logout "$host"
  done
  wait_for 20 has_sessions 1 0
}

memory_kib() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$tgtd_pid/status"; }
open_files() { find "/proc/$tgtd_pid/fd" -mindepth 1 | wc -l; }
