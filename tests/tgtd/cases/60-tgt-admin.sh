# shellcheck shell=bash disable=SC2154  # what lib.sh defines
# targets.conf and Debian's service, by tgt-admin: it stops at the first error, and then systemd kills the daemon.

conf=/etc/tgt/targets.conf

case_admin_default_driver() {
  tgtd_start
  cat >"$conf" <<END
default-driver srp
<target one.example>
  backing-store $(disk one)
  initiator-address 10.0.0.1
</target>
<target two.example>
  backing-store $(disk two)
  initiator-name 0x00112233445566778899aabbccddeeff
</target>
END
  admin -e
  assert_equal targets 'one.example two.example' "$(names)"
  assert_equal drivers srp "$(adm --mode target --op show | sed -n 's/^ *Driver: //p' | sort -u)"
  assert_match 'first target' "Backing store path: $PWD/one$" "$(target_text 1)"
  assert_match 'first target' '^ *10\.0\.0\.1$' "$(target_text 1)"
  assert_match 'second target' '^ *0x00112233445566778899aabbccddeeff$' "$(target_text 2)"
}

# write_mixed: a target of either driver, in one file.
write_mixed() {
  cat >"$conf" <<END
<target iqn.2001-01.example:a>
  backing-store $(disk a)
</target>
<target b.example>
  driver srp
  <backing-store $(disk b)>
    vendor_id ACME
    scsi_sn serial-b
    write-cache off
    lun 7
  </backing-store>
</target>
END
}

case_admin_mixed_drivers() {
  tgtd_start
  write_mixed
  admin -e
  assert_equal targets 'b.example iqn.2001-01.example:a' "$(names)"
  assert_equal drivers 'iscsi srp' "$(adm --mode target --op show | sed -n 's/^ *Driver: //p' | sort | xargs)"
  assert_match 'lld show' 'b\.example' "$(adm --mode lld --op show | sed -n '/srp:/,$p')"
  assert_match 'target show' 'LUN: 7$' "$(admin -s)"
  assert_match 'target show' 'SCSI SN: serial-b$' "$(admin -s)"
}

case_admin_twice() {
  tgtd_start
  write_mixed
  admin -e
  admin -e
  assert_equal targets 'b.example iqn.2001-01.example:a' "$(names)"
}

# Idle targets are deleted in the name of iscsi and made anew.
case_admin_update() {
  tgtd_start
  write_mixed
  admin -e
  sed -i 's/serial-b/serial-c/' "$conf"
  admin --update ALL
  admin --update b.example
  assert_equal targets 'b.example iqn.2001-01.example:a' "$(names)"
  assert_match 'target show' 'SCSI SN: serial-c$' "$(admin -s)"
  sed -i '/^<target b/,$d' "$conf"
  admin --update ALL
  assert_equal targets 'iqn.2001-01.example:a' "$(names)"
}

case_admin_delete() {
  tgtd_start
  write_mixed
  admin -e
  admin --delete b.example
  assert_equal targets 'iqn.2001-01.example:a' "$(names)"
  admin -e
  admin --delete ALL
  assert_equal targets '' "$(names)"
}

# What is dumped makes the same targets again.
case_admin_dump() {
  local before
  tgtd_start
  write_mixed
  admin -e
  before=$(names)
  admin --dump >dumped.conf
  admin --delete ALL
  admin -e -c "$PWD/dumped.conf"
  assert_equal targets "$before" "$(names)"
  assert_match 'the dump' 'driver srp' "$(<dumped.conf)"
  assert_match 'target show' "Backing store path: $PWD/b$" "$(admin -s)"
}

case_admin_offline_and_ready() {
  tgtd_start
  write_mixed
  admin -e
  admin --offline ALL
  assert_equal states offline "$(adm --mode target --op show | sed -n 's/^ *State: //p' | sort -u)"
  admin --ready ALL
  assert_equal states ready "$(adm --mode target --op show | sed -n 's/^ *State: //p' | sort -u)"
}

case_admin_iscsi_keys_of_an_srp_target() {
  tgtd_start
  cat >"$conf" <<END
default-driver srp
<target one.example>
  backing-store $(disk one)
  MaxRecvDataSegmentLength 8192
  InitialR2T No
  HeaderDigest None
  MaxConnections 4
  incominguser someone secret123456
</target>
END
  admin -e
  assert_match 'target show' "Backing store path: $PWD/one$" "$(target_text 1)"
  assert_match 'target show' '^ *ALL$' "$(target_text 1)"
  assert_logged 'srp.*MaxRecvDataSegmentLength'
}

# Debian's unit: all that systemd runs at the start, at a reload and at the end, with an empty and a mixed file.
case_admin_life_of_the_service() {
  local file
  for file in none mixed; do
    : >"$conf"
    [[ $file == none ]] || write_mixed
    tgtd_start
    adm --op update --mode sys --name State -v offline
    admin -e -c "$conf"
    adm --op update --mode sys --name State -v ready
    admin --update ALL -c "$conf"
    adm --op update --mode sys --name State -v offline
    admin --offline ALL
    admin --update ALL -c /dev/null -f
    tgtd_ends adm --op delete --mode system
  done
}

# The same with a configuration of the driver that is wrong: iSCSI's targets are served all the same.
case_admin_with_a_broken_configuration() {
  echo 'credits = none' >/etc/tgt/srp.conf
  tgtd_start
  write_mixed
  admin -e
  assert_equal targets 'b.example iqn.2001-01.example:a' "$(names)"
}
