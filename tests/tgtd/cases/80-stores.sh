# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# Other modules beside the driver, and a store that tgtd itself does not offer any more.

# beside STORE PACKAGE: its module is loaded beside the driver, if this machine has it installed. These packages bring
# half of Ceph or Gluster with them, so nothing installs them for a test.
beside() {
  local module=$installed_modules/bs_$1.so
  [[ -e $module ]] || skip_case "package $2 is not installed"
  install -m 644 "$module" "$modules/"
  tgtd_start
  wait_for 20 lld_is srp ready
  assert_match 'the stores that tgtd knows' "^ +$1( |\$)" "$(adm --mode sys --op show)"
  target_add 1
  lun_add 1 1
  assert_match 'target show' '^ *Driver: srp$' "$(target_text 1)"
}

case_beside_rbd() { beside rbd tgt-rbd; }
case_beside_glfs() { beside glfs tgt-glusterfs; }

case_bsg_refused() {
  tgtd_start
  target_add 1
  refused 'invalid request' srp --mode logicalunit --op new --tid 1 --lun 1 --device-type pt --bstype bsg -b /dev/null
}
