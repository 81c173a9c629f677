# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# The administrator's side: what is shown, and the stock tools.

case_show() {
  local host disk text
  serve
  attach
  text=$(srpadm --mode target --op show)
  assert_match 'target show' '^Target 1: target-1$' "$text"
  assert_match 'target show' '^ *Driver: srp$' "$text"
  assert_match 'target show' '^ *Connection: [0-9]+$' "$text"
  assert_match 'target show' "^ *Backing store path: .*disk-1-1$" "$text"
  text=$(srpadm --mode target --op show --tid 1)
  assert_match 'show of one target' \
    "^ *Login: id_ext=[0-9a-f]{16},ioc_guid=[0-9a-f]{16},dest=${ipv4//./\\.}:5000" "$text"
  assert_match 'show of one target' "^ *Login: .*dest=\[${ipv6}\]:5000" "$text"
  text=$(srpadm --mode conn --op show --tid 1)
  assert_match 'conn show' '^ *Session: [0-9]+' "$text"
  assert_match 'conn show' '^ *Connection: [0-9]+' "$text"
  assert_match 'portal show' "${ipv4//./\\.}" "$(srpadm --mode portal --op show)"
  assert_match 'sys show' "$rdma_device" "$(srpadm --mode sys --op show)"
  assert_fails srpadm --mode target --op show --tid 99
  srp_logout "$host"
  tgtd_stop
}

# A configuration file, as Debian's service loads it at its start and unloads it at its end.
case_targets_conf() {
  local host disk
  tgtd_start
  truncate -s 64M disk-conf
  cat >/etc/tgt/targets.conf <<CONF
default-driver srp
<target disk.example>
  backing-store $PWD/disk-conf
  initiator-address $ipv4
</target>
CONF
  tgt-admin -e
  assert_match 'target show' '^Target 1: disk.example$' "$(tgt-admin -s)"
  attach
  assert_equal "size of $disk" $((64 << 20)) "$(blockdev --getsize64 "$disk")"
  srp_logout "$host"
  wait_for 20 has_sessions 1 0
  tgt-admin --delete disk.example
  assert_equal 'targets left' '' "$(targets)"
  tgtd_stop
}
