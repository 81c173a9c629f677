# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# The stock tgt-admin on SRP targets: with nobody in, and beside two sessions that are under load.

case_tgt_admin_idle() {
  configure
  tgtd_start
  admin -e
  assert_equal 'targets' '1 2 3' "$(all_targets)"
  assert_match 'a key of iSCSI' 'MaxBurstLength is iSCSI.s: ignored' "$(<"$case_log/tgtd.log")"
  admin --offline tid=1
  assert_equal 'state of target 1' offline "$(state_of 1)"
  admin --ready tid=1
  assert_equal 'state of target 1' ready "$(state_of 1)"
  admin --update ALL
  assert_equal 'targets, updated' '1 2 3' "$(all_targets)"
  admin --update disk.two
  admin --delete tid=1
  admin --delete disk.two
  admin --delete mixed.iscsi
  assert_equal 'targets, deleted' '' "$(all_targets)"
  admin -e
  admin --update ALL -c /dev/null -f
  assert_equal 'targets of an empty file' '' "$(all_targets)"
  tgtd_stop
}

# What a dump says makes the same system again. tgt-admin dumps no LUNs, so these are in order, and dumps an address
# that is more than digits and dots as a name, beside which it binds ALL: the same initiators are admitted all the same.
case_tgt_admin_dump() {
  local before host disk
  configure
  tgtd_start
  admin -e
  before=$(shown)
  tgt-admin --dump >dumped.conf
  admin --delete ALL
  tgtd_stop
  tgtd_start
  admin -e -c "$PWD/dumped.conf"
  diff <(echo "$before") <(shown) || fail 'the dump makes another system'
  attach
  verified "$disk" 4
  srp_logout "$host"
  wait_for 20 has_sessions 1 0
  assert_fails add_target "$(login_string 2)"
  admin --delete ALL
  tgtd_stop
}

case_tgt_admin_in_use() {
  local -a hosts
  configure
  tgtd_start
  admin -e
  two_sessions
  admin -v --update ALL
  assert_match 'update without -f' 'is in use' "$admin_said"
  assert_equal 'sessions' 2 "$(sessions 1)"
  admin -v --delete tid=1
  assert_match 'delete without -f' 'is in use' "$admin_said"
  assert_equal 'targets' '1 2 3' "$(all_targets)"
  loads_go_on 0 1
  admin --update tid=1 -f
  assert_equal 'targets, updated by force' '1 2 3' "$(all_targets)"
  wait_for 60 has_sessions 1 2
  loads_end
  admin --delete tid=1 -f
  assert_equal 'targets, deleted by force' '2 3' "$(all_targets)"
  srp_logout "${hosts[0]}"
  srp_logout "${hosts[1]}"
  admin --delete ALL
  tgtd_stop
}

# What the stock service does when it stops, with sessions under load; targets offline, then gone.
case_service_stop_commands() {
  local -a hosts
  configure
  tgtd_start
  admin -e
  two_sessions
  tgtadm --op update --mode sys --name State -v offline
  admin --offline ALL
  admin --update ALL -c /dev/null -f
  tgtadm --op delete --mode system
  within 30 gone "$tgtd_pid" || fail 'tgtd did not end: something was left'
  assert_equal 'sessions that were cut off' 0 "$(grep -c 'shut down' "$case_log/tgtd.log" || true)"
  tgtd_start
  admin -e
  wait_for 90 has_sessions 1 2
  loads_end
  srp_logout "${hosts[0]}"
  srp_logout "${hosts[1]}"
  wait_for 20 has_sessions 1 0
  admin --delete ALL
  tgtd_stop
}

# ---- the stage ----

configure() {
  truncate -s 64M disk1 disk2 disk3 disk4
  cat >/etc/tgt/targets.conf <<CONF
default-driver srp
<target disk.one>
  <backing-store $PWD/disk1>
    lun 1
    vendor_id MINE
  </backing-store>
  <backing-store $PWD/disk2>
    lun 2
  </backing-store>
  <backing-store $PWD/disk3>
    lun 3
  </backing-store>
  MaxBurstLength 16384
  initiator-address 192.168.0.0/16
  initiator-address $ipv6
</target>
<target disk.two>
  driver srp
  backing-store $PWD/disk4
  initiator-address 10.9.9.9
</target>
<target mixed.iscsi>
  driver iscsi
  backing-store $PWD/disk1
</target>
CONF
}

# admin OPTION...: tgt-admin, which must not fail; what it says is in $admin_said.
admin() {
  admin_said=$(tgt-admin "$@" 2>&1) ||
    fail "tgt-admin $*: $(tail -n 3 <<<"$admin_said"); $(tail -n 2 "$case_log/tgtd.log")"
  echo "tgt-admin $*: $admin_said"
}

all_targets() { tgtadm --mode target --op show | sed -n 's/^Target \([0-9]*\):.*/\1/p' | xargs; }

state_of() {
  tgtadm --mode target --op show | sed -n "/^Target $1:/,/^Target [^$1]/s/^ *State: //p" | head -n 1
}

# Names, drivers, units.
shown() { tgtadm --mode target --op show | grep -E '^Target |Driver:|LUN: |Type:|SCSI ID:|Size:|path:|flags:'; }
