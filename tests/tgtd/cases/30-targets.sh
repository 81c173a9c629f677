# shellcheck shell=bash disable=SC2154  # what lib.sh defines
# Targets, logical units and access lists, by tgtadm.

case_target_life() {
  local text
  tgtd_start
  target_add 1 iqn.2001-01.example:disk
  text=$(target_text 1)
  assert_match 'target show' '^Target 1: iqn.2001-01.example:disk$' "$text"
  assert_match 'target show' '^ *Driver: srp$' "$text"
  assert_match 'target show' '^ *State: ready$' "$text"
  assert_match 'lld show' '^        Target 1: iqn.2001-01.example:disk$' "$(adm --mode lld --op show)"
  target_delete 1
  assert_equal targets '' "$(names)"
  assert_no_match 'lld show' 'Target' "$(adm --mode lld --op show)"
}

case_target_show_of_one() {
  local text
  tgtd_start
  target_add 1 a
  target_add 2 b
  text=$(srp --mode target --op show --tid 1)
  [[ -n $text ]] || fail "nothing is shown of a target"
  [[ $text != "$(srp --mode target --op show --tid 2)" ]] || fail "two targets show the same: $text"
  assert_match 'target show' 'ioc_guid' "$text"
}

case_target_show_of_none() {
  tgtd_start
  refused "can't find the target" srp --mode target --op show --tid 99
  adm --lld iscsi --mode target --op new --tid 1 --targetname iqn.2001-01.example:a
  refused "can't find the target" srp --mode target --op show --tid 1
}

case_target_names_and_ids_are_unique() {
  tgtd_start
  target_add 1 a
  refused 'this target already exists' target_add 1 b
  refused 'this target already exists' target_add 2 a
  refused 'this target already exists' adm --lld iscsi --mode target --op new --tid 2 --targetname a
  assert_equal targets a "$(names)"
}

case_target_with_a_bad_name() {
  tgtd_start
  refused 'invalid|unknown|error' target_add 1 under_score
  assert_equal targets '' "$(names)"
  target_add 1 good
}

# Long names are for the initiator to see, in full or not at all, and never a crash.
case_target_with_a_long_name() {
  tgtd_start
  target_add 1 "$(printf 'n%.0s' {1..223})"
  target_add 2 "$(printf 'm%.0s' {1..1000})" || true
  srp --mode target --op show --tid 1 >/dev/null
  srp --mode conn --op show --tid 1 >/dev/null
  assert_alive
}

case_target_with_a_large_id() {
  tgtd_start
  target_add 2147483647
  srp --mode target --op show --tid 2147483647 >/dev/null
  target_delete 2147483647
}

# tgt-admin deletes that way: the request goes to iscsi, the driver is not told, and the target is gone.
case_target_delete_without_lld() {
  tgtd_start
  target_add 1 first
  adm --mode target --op delete --tid 1
  assert_equal targets '' "$(names)"
  refused "can't find the target" srp --mode target --op show --tid 1
  target_add 1 second
  assert_no_match 'the second target' first "$(srp --mode target --op show --tid 1; target_text 1)"
  target_delete 1
}

case_target_delete_of_another_driver() {
  tgtd_start
  adm --lld iscsi --mode target --op new --tid 1 --targetname iqn.2001-01.example:a
  target_add 2
  # iscsi is not told, and keeps a record of tid 1; that is tgtd's affair.
  srp --mode target --op delete --tid 1
  assert_equal targets target-2 "$(names)"
}

case_target_delete_of_none() {
  tgtd_start
  refused "can't find the target" target_delete 99
  refused "can't find the target" srp --mode target --op delete --force --tid 99
}

case_target_delete_by_force() {
  tgtd_start
  target_add 1
  lun_add 1 1
  srp --mode target --op delete --force --tid 1
  assert_equal targets '' "$(names)"
}

case_target_states() {
  tgtd_start
  target_add 1
  srp --mode target --op update --tid 1 --name state -v offline
  assert_match 'target show' '^ *State: offline$' "$(target_text 1)"
  sleep 1  # the driver looks at target states now and then
  srp --mode target --op update --tid 1 --name state -v ready
  assert_match 'target show' '^ *State: ready$' "$(target_text 1)"
  refused 'invalid request|unknown' srp --mode target --op update --tid 1 --name state -v odd
  refused "can't find the target" srp --mode target --op update --tid 9 --name state -v offline
}

case_target_update_of_unknown_name() {
  tgtd_start
  target_add 1
  refused 'unknown parameter' srp --mode target --op update --tid 1 --name no-such-name -v 1
  refused 'unknown parameter' srp --mode target --op update --tid 1 --name MaxBurst -v 1
  refused 'unknown parameter' srp --mode target --op update --tid 1 --name state-no-such-name -v 1
  refused "can't find the target" srp --mode target --op update --tid 9 --name MaxBurstLength -v 1
}

# An error here would end tgt-admin in the middle of a target.
case_target_update_of_iscsi_keys() {
  local key
  tgtd_start
  target_add 1
  for key in MaxRecvDataSegmentLength MaxXmitDataSegmentLength HeaderDigest DataDigest InitialR2T MaxOutstandingR2T \
    ImmediateData FirstBurstLength MaxBurstLength DataPDUInOrder DataSequenceInOrder ErrorRecoveryLevel IFMarker \
    OFMarker DefaultTime2Wait DefaultTime2Retain OFMarkInt IFMarkInt MaxConnections; do
    srp --mode target --op update --tid 1 --name "$key" -v 1 || fail "$key is refused"
    assert_logged "srp.*$key"
  done
}

case_target_lists() {
  local text
  tgtd_start
  target_add 1
  srp --mode target --op bind --tid 1 -I 10.0.0.1
  srp --mode target --op bind --tid 1 -I ALL
  srp --mode target --op bind --tid 1 -Q 0x00112233445566778899aabbccddeeff
  text=$(target_text 1)
  assert_match 'target show' '^ *10\.0\.0\.1$' "$text"
  assert_match 'target show' '^ *ALL$' "$text"
  assert_match 'target show' '^ *0x00112233445566778899aabbccddeeff$' "$text"
  refused 'this access control rule already exists' srp --mode target --op bind --tid 1 -I ALL
  srp --mode target --op unbind --tid 1 -I ALL
  srp --mode target --op unbind --tid 1 -Q 0x00112233445566778899aabbccddeeff
  refused 'this access control rule does not exist' srp --mode target --op unbind --tid 1 -I ALL
  assert_no_match 'target show' '^ *(ALL|0x)' "$(target_text 1)"
  refused "can't find the target" srp --mode target --op bind --tid 9 -I ALL
}

case_lun_life() {
  local type
  tgtd_start
  target_add 1
  lun_add 1 1
  lun_add 1 2 --bstype aio
  lun_add 1 3 --bstype null
  lun_add 1 4 --device-type cd
  lun_add 1 300
  for type in 'Type: disk' 'Type: cd/dvd' 'LUN: 300' "Backing store path: $PWD/disk-1-1" 'Backing store type: aio'; do
    assert_match 'target show' "^ *$type\$" "$(target_text 1)"
  done
  refused 'this logical unit number already exists' lun_add 1 1
  refused "can't find the target" lun_add 9 1
  refused "can't find the logical unit" srp --mode logicalunit --op delete --tid 1 --lun 99
  refused '' srp --mode logicalunit --op delete --tid 1 --lun 0
  srp --mode logicalunit --op delete --tid 1 --lun 1
  adm --mode logicalunit --op delete --tid 1 --lun 2
  assert_no_match 'target show' 'disk-1-[12]$' "$(target_text 1)"
}

case_lun_without_a_backing_store() {
  tgtd_start
  target_add 1
  refused '' srp --mode logicalunit --op new --tid 1 --lun 1 -b "$PWD/missing"
  assert_no_match 'target show' 'LUN: 1$' "$(target_text 1)"
  lun_add 1 1
}

case_lun_attributes() {
  local text
  tgtd_start
  target_add 1
  lun_add 1 1
  srp --mode logicalunit --op update --tid 1 --lun 1 --params vendor_id=ACME,product_id=disk,scsi_sn=serial1
  srp --mode logicalunit --op update --tid 1 --lun 1 --params scsi_id=identity1,readonly=1
  text=$(target_text 1)
  assert_match 'target show' 'SCSI ID: identity1$' "$text"
  assert_match 'target show' 'SCSI SN: serial1$' "$text"
  assert_match 'target show' 'Readonly: Yes$' "$text"
}

# The identity of a disk should not be that of a disk of another target.
case_lun_identities_differ() {
  tgtd_start
  target_add 1
  target_add 2
  lun_add 1 1
  lun_add 2 1
  assert_equal 'repeated identities' '' "$(adm --mode target --op show | grep -E 'SCSI (ID|SN):' | sort | uniq -d)"
}

# fill_and_empty FIRST LAST: targets with a disk, half of them deleted in the name of iscsi, as tgt-admin does.
fill_and_empty() {
  local tid
  for ((tid = $1; tid <= $2; tid++)); do
    target_add "$tid"
    srp --mode logicalunit --op new --tid "$tid" --lun 1 -b "$PWD/shared"
    srp --mode target --op bind --tid "$tid" -I ALL
    if ((tid % 2)); then target_delete "$tid"; else adm --mode target --op delete --tid "$tid"; fi
  done
}

case_target_many_leave_nothing_behind() {
  local shown files threads_before resident
  tgtd_start
  disk shared >/dev/null
  fill_and_empty 1 30
  shown=$(srp --mode sys --op show) files=$(open_files) threads_before=$(threads) resident=$(resident_kib)
  fill_and_empty 31 230
  assert_equal 'sys show' "$shown" "$(srp --mode sys --op show)"
  assert_equal 'open files' "$files" "$(open_files)"
  assert_equal threads "$threads_before" "$(threads)"
  (($(resident_kib) - resident < 1024)) || fail "$resident KiB resident before, $(resident_kib) after 200 targets"
}

case_target_many_at_once() {
  local tid
  tgtd_start
  for tid in {1..200}; do target_add "$tid"; done
  assert_equal 'number of targets' 200 "$(tids | wc -l)"
  srp --mode target --op show --tid 200 >/dev/null
  srp --mode sys --op show >/dev/null
  for tid in {1..200}; do adm --mode target --op delete --tid "$tid"; done
  assert_equal targets '' "$(names)"
}
