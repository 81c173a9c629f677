# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# What goes wrong while data is written. After most of it the initiator comes back by itself and no block is lost;
# where the disk is gone for good, its commands end with errors and everything else goes on.

# The daemon dies and is started again with the same configuration.
case_tgtd_killed() {
  local host disk
  serve
  attach
  load_start "$disk"
  tgtd_kill
  load_goes_on
  serve
  wait_for 120 is_running "$host"
  load_goes_on
  load_end clean
  srp_logout "$host"
  tgtd_stop
}

# A LUN goes away; commands that come later get a clean error, and the other LUN does not notice. tgtd refuses to delete
# a LUN with commands in it, so the load leaves gaps.
case_lun_removed() {
  local host disk other removed
  serve
  lun_add 1 2 64
  attach
  other=$(disk_of "$host" 2)
  load_start "$disk" --iodepth=1 --thinktime=20000
  removed=$load_pid
  load_start "$other"
  wait_for 60 srpadm --mode logicalunit --op delete --tid 1 --lun 1
  load_end clean
  load_pid=$removed
  load_end error
  assert_alive "$tgtd_pid" tgtd
  assert_equal sessions 1 "$(sessions 1)"
  srp_logout "$host"
  tgtd_stop
}

# Resets of the logical unit. What they abort is repeated by the initiator, soon rather than after its usual 30 s.
case_lun_reset() {
  local host disk
  serve
  attach
  echo 10 >"/sys/block/${disk##*/}/device/timeout"
  load_start "$disk"
  for _ in 1 2 3; do
    timeout 120 sg_reset -d "$disk"
    sleep 1
  done
  load_goes_on
  load_end clean
  assert_alive "$tgtd_pid" tgtd
  srp_logout "$host"
  tgtd_stop
}

# The RDMA device goes away, as on hot-unplug, and comes back.
case_device_removed() {
  local host disk
  serve
  attach
  load_start "$disk"
  rdma_down
  load_end error
  assert_alive "$tgtd_pid" tgtd
  wait_for 60 has_sessions 1 0
  rdma_up
  wait_for 60 has_login_string 1
  attach
  verified "$disk" 16
  srp_logout "$host"
  tgtd_stop
}

# Forced deletion as tgt-admin does it, without naming the driver. The initiator cannot come back, and gives up.
case_target_deleted() {
  local host disk
  serve
  attach
  impatient "$host"
  load_start "$disk"
  wait_for 20 tgtadm --mode target --op delete --force --tid 1
  load_end error
  assert_alive "$tgtd_pid" tgtd
  srp_logout "$host"
  target_add 1
  lun_add 1 1 128
  attach
  verified "$disk" 16
  srp_logout "$host"
  tgtd_stop
}

case_logout_under_load() {
  local host disk
  serve
  attach
  load_start "$disk"
  srp_logout "$host"
  load_end error
  wait_for 20 has_sessions 1 0
  attach
  verified "$disk" 16
  srp_logout "$host"
  tgtd_stop
}

# The administrator ends one session; the initiator logs in again at once.
case_session_killed() {
  local host disk shown
  serve
  attach
  load_start "$disk"
  shown=$(srpadm --mode conn --op show --tid 1)
  srpadm --mode conn --op delete --tid 1 --sid "$(number_after Session "$shown")" \
    --cid "$(number_after Connection "$shown")"
  sleep 1
  wait_for 60 is_running "$host"
  wait_for 20 has_sessions 1 1
  load_goes_on
  load_end clean
  srp_logout "$host"
  tgtd_stop
}

# The cable is out for a while, and nobody writes in the meantime. Under load soft RoCE would not survive it: whoever
# sees its queue pair fail first ends the connection, and a connection manager that sends while there is no route leaves
# the device's QP 1 in error, until the device is made anew.
case_link_down() {
  local host disk
  serve
  attach
  verified "$disk" 16
  link_down
  sleep 5
  link_up
  wait_for 20 is_usable
  wait_for 120 is_running "$host"
  verified "$disk" 16
  assert_alive "$tgtd_pid" tgtd
  srp_logout "$host"
  tgtd_stop
}
