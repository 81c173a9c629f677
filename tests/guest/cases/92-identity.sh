# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# Who sees what, and what a unit says of itself.

# One SRP target port, three groups of initiators: the identity of the initiator picks the target that it sees.
case_masking() {
  local config=$PWD/srp.conf number host string
  local -a hosts
  for number in 1 2 3; do
    echo "  { name = \"target-$number\"; id_ext = \"0000000000000abc\"; ioc_guid = \"0002c90300a1b2c3\"; },"
  done | sed '1s/^/targets = (\n/; $s/,$/\n);/' >"$config"
  tgtd_start TGT_SRP_CONF="$config"
  for number in 1 2 3; do
    target_add "$number" ""
    lun_add "$number" "$number" $((16 * number))
  done
  lun_add 2 5 80
  admit 1 ALL                                     # the default group
  admit 2 "0x0000000000000002*"                   # those with this extension
  admit 3 "$(port_id_with 0000000000000003)"      # one initiator port
  within 30 has_login_string 1 || fail 'no login string'
  string=$(login_string 1)
  assert_equal 'login strings of the three' "$string" "$(login_string 3)"
  for number in 1 2 3; do
    host=$(srp_login "$string" initiator_ext="000000000000000$number")
    hosts[number]=$host
    disk_of "$host" "$number" >disk
    assert_equal "units of initiator $number" "$(units_of_group "$number")" "$(luns_of "$host")"
    assert_equal "size of its unit" $((16 * number << 20)) "$(blockdev --getsize64 "$(<disk)")"
    assert_equal "sessions of target $number" 1 "$(sessions "$number")"
  done
  # The disk of another group, by its LUN: there is none.
  assert_no_unit "${hosts[1]}" 3
  assert_no_unit "${hosts[2]}" 3
  assert_no_unit "${hosts[3]}" 5
  for number in 1 2 3; do srp_logout "${hosts[number]}"; done
  tgtd_stop
}

# Targets with the name of a port, as SCST's ib_srpt has them: its login string is valid here.
case_port_names() {
  local config=$PWD/srp.conf host disk name string
  name=0000:0000:0000:0000:0000:ffff:$(mapped "$ipv4")
  [[ $provider == rxe ]] || name=$ipv4
  printf 'srpt_port_names = true;\nsrpt_service_guid = "0002c90300a1b2c3";\n' >"$config"
  tgtd_start TGT_SRP_CONF="$config"
  srpadm --mode target --op new --tid 1 --targetname "$name"
  srpadm --mode target --op new --tid 2 --targetname "10.9.9.9-elsewhere"
  lun_add 1 1 16
  lun_add 2 1 32
  admit 1 ALL
  admit 2 ALL
  string=id_ext=0002c90300a1b2c3,ioc_guid=0002c90300a1b2c3,dest=$ipv4:5000
  wait_for 30 has_login_string 1
  assert_equal 'login string' "$string" "$(login_string 1)"
  assert_fails has_login_string 2
  host=$(srp_login "$string")
  disk=$(disk_of "$host" 1)
  assert_equal "size of $disk" $((16 << 20)) "$(blockdev --getsize64 "$disk")"
  srp_logout "$host"
  tgtd_stop
}

# Every spelling of an initiator's name, in either list, and what excludes it.
case_acl_spellings() {
  local string entry id guid
  serve
  srpadm --mode target --op unbind --tid 1 -I ALL
  string=$(login_string 1)
  id=$(port_id_with 0000000000000005)
  guid=${id:18:4}:${id:22:4}:${id:26:4}:${id:30:4}
  for entry in "$id" "${id^^}" "${id#0x}" "$guid" "${id:18}" '0x0000000000000005*' "*${guid##*:}" "$ipv4" \
    192.168.0.0/16 '!10.0.0.0/8'; do
    [[ $provider == rxe || $entry != *"$guid"* ]] || continue
    login_admitted "$entry" -I "$entry"
    login_admitted "$entry" -Q "$entry"
  done
  for entry in 10.9.9.9 "${id%?}x" "!$id" '!nonsense' 0x0000000000000006*; do
    srpadm --mode target --op bind --tid 1 -I "$entry"
    assert_fails add_target "$string,initiator_ext=0000000000000005"
    srpadm --mode target --op unbind --tid 1 -I "$entry"
  done
  tgtd_stop
}

# What INQUIRY tells of the unit and of the port that it is reached through.
case_unit_identity() {
  local host disk text serial
  serve
  attach
  text=$(sg_vpd --page=di "$disk" 2>&1) || fail "sg_vpd: $text"
  assert_match 'device identification' 'NAA 6|0x6' "$text"
  assert_match 'the SRP target port' 'SRP|SCSI RDMA' "$text"
  assert_match 'relative target port' 'Relative target port: 0x1' "$text"
  assert_match 'target port group' 'Target port group: 0x1' "$text"
  assert_match 'version descriptor' 'SRP' "$(sg_inq -d "$disk" 2>&1)"
  serial=$(sg_vpd --page=sn "$disk" | sed -n 's/.*: *//p')
  assert_match 'serial number' '^[0-9a-f]{16}$' "$serial"
  # The same after tgtd has been restarted, and another one where the administrator says so.
  srp_logout "$host"
  tgtd_stop
  serve
  attach
  assert_equal 'serial number, later' "$serial" "$(sg_vpd --page=sn "$disk" | sed -n 's/.*: *//p')"
  srp_logout "$host"
  srpadm --mode logicalunit --op update --tid 1 --lun 1 --params scsi_id=MINE0001,scsi_sn=SERIAL1
  attach
  assert_match 'serial number, set' 'SERIAL1' "$(sg_vpd --page=sn "$disk")"
  assert_match 'identifier, set' 'MINE0001' "$(sg_vpd --page=di "$disk" 2>&1)"
  assert_match 'the port, kept' 'Relative target port: 0x1' "$(sg_vpd --page=di "$disk" 2>&1)"
  srp_logout "$host"
  tgtd_stop
}

# Units that come and go under load: the initiators hear of it, a rescan finds them, and removal never hangs.
case_units_come_and_go() {
  local -a hosts disks
  serve_two_units
  two_sessions
  for _ in 1 2 3; do
    lun_add 1 8 16
    wait_for 30 told_of_change 0
    echo '- - -' >"/sys/class/scsi_host/host${hosts[0]}/scan"
    disk_of "${hosts[0]}" 8 >/dev/null
    echo 1 >"/sys/class/scsi_device/${hosts[0]}:0:0:8/device/delete"
    wait_for 30 lun_delete 8
  done
  loads_go_on 0 1
  loads_end
  srp_logout "${hosts[0]}"
  srp_logout "${hosts[1]}"
  tgtd_stop
}

# A flood of logins costs nobody his session.
case_login_flood() {
  local host disk string attempt
  serve
  attach
  load_start "$disk"
  string=$(login_string 1)
  srpadm --mode target --op bind --tid 1 -I '!0x0000000000000bad*'
  for attempt in {1..40}; do
    ! add_target "$string,initiator_ext=0000000000000bad" 2>/dev/null || fail "login $attempt was accepted"
  done
  load_end clean
  assert_equal sessions 1 "$(sessions 1)"
  srp_logout "$host"
  tgtd_stop
}

# ---- helpers ----

# The last two groups of an IPv4 address in a GID.
mapped() {
  local IFS=.
  # shellcheck disable=SC2086  # the address becomes four words
  printf '%02x%02x:%02x%02x' $1
}

# The identifier of the initiator port with this extension. Over siw the port has no GUID.
port_id_with() {
  local gid guid=0000000000000000
  gid=$(<"/sys/class/infiniband/$rdma_device/ports/1/gids/0")
  [[ $provider != rxe ]] || guid=$(sed 's/^\([^:]*:\)\{4\}//; s/://g' <<<"$gid")
  echo "0x$1$guid"
}

units_of_group() {
  case $1 in
    2) echo '0 2 5' ;;
    *) echo "0 $1" ;;
  esac
}

# The units that REPORT LUNS names, by the host's first device.
luns_of() {
  local device
  device=$(find /sys/class/scsi_device/"$1":0:0:*/device/scsi_generic/ -mindepth 1 -maxdepth 1 | head -n 1)
  sg_luns "/dev/${device##*/}" | sed -n 's/^ *\([0-9a-f]\{4\}\)[0-9a-f]\{12\}$/\1/p' |
    while read -r lun; do echo $((16#$lun)); done | xargs
}

assert_no_unit() {
  echo "0 0 $2" >"/sys/class/scsi_host/host$1/scan"
  [[ ! -e /sys/class/scsi_device/$1:0:0:$2 ]] || fail "host $1 reaches unit $2 of another group"
}

# login_admitted WHAT OPTION ENTRY: bound so, the initiator may log in; else it may not.
login_admitted() {
  local host
  assert_fails add_target "$string,initiator_ext=0000000000000005"
  srpadm --mode target --op bind --tid 1 "$2" "$3"
  host=$(srp_login "$string" initiator_ext=0000000000000005) || fail "$2 $3 does not admit it"
  srp_logout "$host"
  wait_for 20 has_sessions 1 0
  srpadm --mode target --op unbind --tid 1 "$2" "$3"
}

# Linux logs REPORTED LUNS DATA HAS CHANGED.
told_of_change() {
  dd if="${disks[$1]}" of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null
  [[ $(dmesg | tail -n 200) == *'LUN assignments on this target have changed'* ]]
}
