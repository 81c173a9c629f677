# shellcheck shell=bash disable=SC2154  # what lib.sh defines
# srp.conf with mistakes: the daemon lives, nothing is listened to, and every mistake is shown where it is looked for.

# mistaken FILE: the daemon runs on FILE; `sys show` and the log must name FILE and line for each "# wrong" in it.
mistaken() {
  local file=$1 line text
  tgtd_start TGT_SRP_CONF="$file"
  assert_equal 'state of srp' ready "$(lld srp)"
  text=$(srp --mode sys --op show)
  while IFS=: read -r line _; do
    assert_match 'sys show' "$file:$line:? " "$text"
    assert_logged "$file:$line:? "
  done < <(grep -n '# wrong' "$file")
  assert_no_match 'sys show' "$file:($(grep -vn '# wrong' "$file" | cut -d : -f 1 | paste -sd '|')):? " "$text"
  assert_equal portals '' "$(srp --mode portal --op show)"
}

case_configuration_with_many_mistakes() {
  cat >srp.conf <<'END'
credits = 64;
rdma_cm_port = 70000;                 # wrong
srp_max_req_size = "large";           # wrong
buffer_mib = -1;                      # wrong
credit = 5;                           # wrong
portals = [ "10.0.0.1:port" ];        # wrong
srpt_service_guid = "xyz";            # wrong
login_timeout_s = 0;                  # wrong
use_srq = 1;                          # wrong
t_logout = "true";                    # wrong
trace_flag = 128;                     # wrong
rnr_timer = 32;                       # wrong
sessions_max = 10;
END
  mistaken "$PWD/srp.conf"
}

case_configuration_that_is_no_configuration() {
  printf 'credits = 64;\nportals = [ ;  # wrong\n' >srp.conf
  mistaken "$PWD/srp.conf"
}

case_configuration_of_binary_data() {
  head -c 4096 "$modules/lld_srp.so" >srp.conf
  tgtd_start TGT_SRP_CONF="$PWD/srp.conf"
  assert_match 'sys show' "$PWD/srp.conf:[0-9]+" "$(srp --mode sys --op show)"
}

case_configuration_that_is_a_directory() {
  mkdir srp.conf
  tgtd_start TGT_SRP_CONF="$PWD/srp.conf"
  assert_match 'sys show' "$PWD/srp.conf" "$(srp --mode sys --op show)"
  assert_equal 'state of srp' ready "$(lld srp)"
}

case_configuration_that_is_missing() {
  tgtd_start TGT_SRP_CONF="$PWD/missing.conf"
  assert_match 'sys show' "$PWD/missing.conf" "$(srp --mode sys --op show)"
  assert_logged "$PWD/missing.conf"
}

# A device without end must not be read to its end.
case_configuration_without_end() {
  tgtd_start TGT_SRP_CONF=/dev/zero
  assert_match 'sys show' '/dev/zero' "$(srp --mode sys --op show)"
}

case_configuration_with_mistakes_serves_administration() {
  printf 'credits = 0;  # wrong\n' >srp.conf
  mistaken "$PWD/srp.conf"
  target_add 1
  lun_add 1 1
  srp --mode target --op bind --tid 1 -I ALL
  srp --mode target --op show --tid 1 >/dev/null
  assert_equal targets target-1 "$(names)"
}

# A restart of the driver reads the file again: mended, it is in use; broken again, it is not.
case_configuration_mended() {
  printf 'credits = 0;  # wrong\n' >srp.conf
  mistaken "$PWD/srp.conf"
  printf 'credits = 32;\n' >srp.conf
  srp --mode lld --op stop
  srp --mode lld --op start
  assert_no_match 'sys show' 'srp\.conf:[0-9]+' "$(srp --mode sys --op show)"
  printf 'credits = 1;\n' >srp.conf
  srp --mode lld --op stop
  srp --mode lld --op start
  assert_match 'sys show' "$PWD/srp.conf:1" "$(srp --mode sys --op show)"
}

case_configuration_names_targets() {
  cat >srp.conf <<'END'
targets = ( { name = "disk.example"; id_ext = "0123456789abcdef"; ioc_guid = "fedcba9876543210"; } );
END
  tgtd_start TGT_SRP_CONF="$PWD/srp.conf"
  target_add 1 disk.example
  target_add 2 other.example
  assert_match 'target show' '0123456789abcdef' "$(srp --mode target --op show --tid 1)"
  assert_match 'target show' 'fedcba9876543210' "$(srp --mode target --op show --tid 1)"
  assert_no_match 'target show' '0123456789abcdef' "$(srp --mode target --op show --tid 2)"
}
