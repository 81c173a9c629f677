# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# Every mode and operation of tgtadm that reaches the driver: what it does, or why it does not, without sessions and
# beside two that are under load.

case_tgtadm_without_sessions() {
  serve_two_units
  tgtadm_table 0
  # Now that nobody is in: the rest of what would disturb him.
  row 'target delete' 0 '' srpadm --mode target --op delete --tid 1
  row 'lld stop, no target' 0 '' srpadm --mode lld --op stop
  row 'sys show, stopped' 22 '' srpadm --mode sys --op show
  row 'lld start' 0 '' srpadm --mode lld --op start
  row 'sys show, started' 0 'State: listening' srpadm --mode sys --op show
  tgtd_stop
}

case_tgtadm_beside_two_sessions() {
  local -a hosts disks loads
  local sid
  serve_two_units
  two_sessions
  tgtadm_table 2
  row 'target delete, in use' 22 'this target is still active' srpadm --mode target --op delete --tid 1
  row 'logicalunit delete, in use' 0 '' within 30 lun_delete 2
  row 'logicalunit new, again' 0 '' lun_add 1 2 64
  loads_go_on 0
  sid=$(number_after Session "$(srpadm --mode conn --op show --tid 1)")
  row 'session delete' 0 '' srpadm --mode session --op delete --tid 1 --sid "$sid"
  wait_for 60 has_sessions 1 2
  sid=$(number_after Session "$(srpadm --mode conn --op show --tid 1)")
  row 'conn delete' 0 '' srpadm --mode conn --op delete --tid 1 --sid "$sid" --cid 1
  wait_for 60 has_sessions 1 2
  row 'sys update State=offline' 0 '' srpadm --mode sys --op update --name State --value offline
  wait_for 20 has_sessions 1 0
  row 'sys show, offline' 0 'State: *offline' srpadm --mode sys --op show
  row 'sys update State=ready' 0 '' srpadm --mode sys --op update --name State --value ready
  wait_for 60 has_sessions 1 2
  loads_end
  srp_logout "${hosts[0]}"
  srp_logout "${hosts[1]}"
  tgtd_stop
}

# The report for programs, read by a program.
case_report() {
  local host disk report
  serve
  attach
  verified "$disk" 8
  report=$(srpadm --mode conn --op stat)
  assert_equal 'commands of the unit and of the session' same "$(perl -MJSON::PP -e '
    local $/;
    my $all = decode_json(<STDIN>);
    my ($target) = @{$all->{targets}};
    my ($session) = @{$target->{sessions}};
    my ($disk) = grep { $_->{lun} == 1 } @{$session->{units}};
    die "no device" unless $all->{devices}[0]{name};
    die "no login" unless $target->{logins}[0] =~ /^id_ext=/;
    die "no channel" unless $session->{channels}[0]{established};
    my $written = $disk->{write_bytes};
    print $written >= 8 << 20 && $session->{bytes_out} >= $written ? "same" : "$written of $session->{bytes_out}";
  ' <<<"$report")"
  srp_logout "$host"
  tgtd_stop
}

# ---- the table ----

# row NAME STATUS PATTERN COMMAND...: COMMAND ends with STATUS and prints what matches; tgtd lives and loads go on.
row() {
  local name=$1 wanted=$2 pattern=$3 status=0 said
  said=$("${@:4}" 2>&1) || status=$?
  echo "row: $name: status $status: $(head -c 200 <<<"$said" | tr '\n' '|')"
  assert_equal "$name: status ($(head -c 200 <<<"$said"))" "$wanted" "$status"
  [[ -z $pattern ]] || assert_match "$name" "$pattern" "$said"
  assert_alive "$tgtd_pid" "tgtd, after $name"
}

lun_delete() { srpadm --mode logicalunit --op delete --tid 1 --lun "$1"; }

tgtadm_table() {
  rows_of_targets
  rows_of_units
  rows_of_portals
  rows_of_sessions "$1"
  rows_of_the_system
  [[ $1 -eq 0 ]] || loads_go_on 0 1
}

rows_of_targets() {
  row 'target new' 0 '' srpadm --mode target --op new --tid 7 --targetname seven
  row 'target new, tid taken' 22 'this target already exists' \
    srpadm --mode target --op new --tid 7 --targetname eight
  row 'target update, a key of iSCSI' 0 '' \
    srpadm --mode target --op update --tid 7 --name MaxBurstLength --value 1
  row 'target update, another key' 22 '' srpadm --mode target --op update --tid 7 --name depth --value 1
  row 'target update, no target' 22 "can't find the target" \
    srpadm --mode target --op update --tid 8 --name MaxBurstLength --value 1
  row 'target offline' 0 '' srpadm --mode target --op update --tid 7 --name state --value offline
  row 'target ready' 0 '' srpadm --mode target --op update --tid 7 --name state --value ready
  row 'target bind -I' 0 '' srpadm --mode target --op bind --tid 7 -I 192.168.99.0/24
  row 'target bind -Q' 0 '' srpadm --mode target --op bind --tid 7 -Q 0x0002c90300a1b2c3
  row 'target show' 0 '0x0002c90300a1b2c3' srpadm --mode target --op show
  row 'target show, one' 0 'Target port: 0x' srpadm --mode target --op show --tid 7
  row 'target show, one, no --lld' 0 'Target port: 0x' tgtadm --mode target --op show --tid 7
  row 'target show, none' 22 "can't find the target" srpadm --mode target --op show --tid 8
  row 'target stat' 0 '' srpadm --mode target --op stat --tid 1
  row 'target unbind -Q' 0 '' srpadm --mode target --op unbind --tid 7 -Q 0x0002c90300a1b2c3
  row 'target unbind -I' 0 '' srpadm --mode target --op unbind --tid 7 -I 192.168.99.0/24
  row 'target delete' 0 '' srpadm --mode target --op delete --tid 7
  row 'target delete, none' 22 "can't find the target" srpadm --mode target --op delete --tid 7
  row 'target new' 0 '' srpadm --mode target --op new --tid 7 --targetname seven
  row 'target delete, no --lld' 0 '' tgtadm --mode target --op delete --tid 7
}

rows_of_units() {
  row 'logicalunit new' 0 '' lun_add 1 9 16
  row 'logicalunit new, lun taken' 22 'already exists' lun_add 1 9 16
  row 'logicalunit new, no store' 22 '' srpadm --mode logicalunit --op new --tid 1 --lun 8 -b /there/is/none
  row 'logicalunit update' 0 '' srpadm --mode logicalunit --op update --tid 1 --lun 9 --params vendor_id=MINE
  row 'logicalunit stat' 0 '' srpadm --mode logicalunit --op stat --tid 1 --lun 9
  row 'logicalunit delete' 0 '' within 30 lun_delete 9
  row 'logicalunit delete, none' 22 '' lun_delete 9
}

rows_of_portals() {
  local link_local
  link_local=$(ip -6 -o addr show dev "$netdev" scope link | sed -n 's,.* inet6 \([^/]*\)/.*,\1,p' | head -n 1)
  row 'portal show' 0 '^Portal: 0.0.0.0:5000$' srpadm --mode portal --op show
  portal "$ipv4:5555"
  portal "[$ipv6]:5556"
  [[ -z $link_local ]] || portal "[$link_local%$netdev]:5557"
  portal '*:5558' '0.0.0.0:5558'
  portal 'ib:5559' 'ib:5559 (no InfiniBand port here)'
  row 'portal new, two at once' 0 '' srpadm --mode portal --op new --param "portal=$ipv4:5561,portal=$ipv4:5562"
  row 'portal delete, two at once' 0 '' srpadm --mode portal --op delete --param "portal=$ipv4:5561,portal=$ipv4:5562"
  row 'portal new, taken' 22 '' srpadm --mode portal --op new --param 'portal=0.0.0.0:5000'
  row 'portal new, no address' 22 '' srpadm --mode portal --op new --param portal=here
  row 'portal delete, none' 22 '' srpadm --mode portal --op delete --param portal=10.9.9.9
}

# portal TEXT [SHOWN]: comes and goes.
portal() {
  local shown=${2:-$1}
  row "portal new $1" 0 '' srpadm --mode portal --op new --param "portal=$1"
  srpadm --mode portal --op show | grep -qFx "Portal: $shown" || fail "portal $1 does not listen"
  row "portal delete $1" 0 '' srpadm --mode portal --op delete --param "portal=$1"
  srpadm --mode portal --op show | grep -qF "Portal: $shown" && fail "portal $1 is still there"
  return 0
}

rows_of_sessions() {
  assert_equal 'sessions' "$1" "$(sessions 1)"
  row 'session stat' 0 'tgt lun' srpadm --mode session --op stat --tid 1
  row 'session stat, all' 0 'tgt lun' srpadm --mode session --op stat
  row 'session stat, none' 22 '' srpadm --mode session --op stat --tid 1 --sid 9999
  row 'session show' 22 'invalid request' srpadm --mode session --op show
  row 'session delete, none' 22 '' srpadm --mode session --op delete --tid 1 --sid 9999
  row 'conn show' 0 "$([[ $1 -eq 0 ]] || echo 'Session: ')" srpadm --mode conn --op show --tid 1
  row 'conn show, all' 0 "$([[ $1 -eq 0 ]] || echo '^Target 1: target-1$')" srpadm --mode conn --op show
  row 'conn show, no target' 22 "can't find the target" srpadm --mode conn --op show --tid 8
  row 'conn stat' 0 '"targets": \[' srpadm --mode conn --op stat
  row 'conn delete, none' 22 "can't find the connection" srpadm --mode conn --op delete --tid 1 --sid 9999 --cid 1
}

rows_of_the_system() {
  row 'sys show' 0 'State: listening' srpadm --mode sys --op show
  row 'sys stat' 0 '' srpadm --mode sys --op stat
  row 'sys update' 0 '' srpadm --mode sys --op update --name credits --value 64
  row 'sys show, changed' 0 'Setting: credits = 64, default 128' srpadm --mode sys --op show
  row 'sys update' 0 '' srpadm --mode sys --op update --name credits --value 128
  row 'sys update, out of range' 22 'invalid request' srpadm --mode sys --op update --name credits --value 1
  row 'sys update, at start only' 22 "isn't supported" srpadm --mode sys --op update --name use_srq --value true
  row 'sys update, unknown' 22 'unknown parameter' srpadm --mode sys --op update --name nonsense --value 1
  row 'sys update, trace' 0 '' srpadm --mode sys --op update --name trace_flag --value task
  row 'sys update, trace' 0 '' srpadm --mode sys --op update --name trace_flag --value none
  row 'sys delete, with targets' 22 '' srpadm --mode sys --op delete
  row 'lld show' 0 '^ *srp: ready' tgtadm --mode lld --op show
  row 'lld stop, with targets' 22 '' srpadm --mode lld --op stop
}

# ---- two sessions ----

serve_two_units() {
  tgtd_start
  target_add 1 ""
  lun_add 1 1 64
  lun_add 1 2 64
  lun_add 1 3 64
  admit 1 ALL
}

# Two initiator ports, each with a disk of its own under load: sets hosts, disks, loads.
two_sessions() {
  local number host disk load_pid
  for number in 0 1; do
    attach $((2 * number + 1)) initiator_ext="000000000000000$((number + 1))"
    hosts[number]=$host disks[number]=$disk
    load_start "$disk"
    loads[number]=$load_pid
  done
  wait_for 20 has_sessions 1 2
}

loads_go_on() {
  local number load_pid
  for number in "$@"; do
    load_pid=${loads[number]} load_log=$case_log/load-${disks[number]##*/}.log
    load_is_well
  done
}

# Under way, or over without an error: the table may take longer than the load.
load_is_well() {
  kill -0 "$load_pid" 2>/dev/null || ! grep -qiE 'error=|verify:' "$load_log" || load_goes_on
}

loads_end() {
  local number load_pid
  for number in 0 1; do
    load_pid=${loads[number]} load_log=$case_log/load-${disks[number]##*/}.log
    load_end clean
  done
}
