# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables of lib.sh
# Every command that README.md and the manual pages tell an administrator to type, as it stands there, in a guest that
# is made as they assume: the RDMA port mlx5_0/1 with their addresses, and their disks.

case_documented_commands() {
  local ipv4=192.168.10.1 rdma_device=mlx5_0 initiator=/sys/class/infiniband_srp/srp-mlx5_0-1
  local place command login='' host disk port failed=0
  # shellcheck source-path=SCRIPTDIR source=../../docs/lib.sh
  . "$checkout/tests/docs/lib.sh"
  export -f apt
  make_the_place
  (cd "$checkout" && tried) >documented
  [[ -s documented ]] || fail 'no command was found'
  while IFS=$'\t' read -r -u 3 place command; do
    say_and_prepare
    try || failed=$((failed + 1))
  done 3<documented
  log_out
  tgtd_stop
  leave_the_place
  ((!failed)) || fail "$failed of $(wc -l <documented) documented commands fail"
}

# ---- the place ----

make_the_place() {
  local number
  modprobe -r ib_srp
  rm -f /run/ib_srp.parameters
  rdma dev set rxe0 name "$rdma_device"
  ip addr add "$ipv4/24" dev "$netdev"
  ip addr add 10.0.0.1/24 dev "$netdev"
  initiator_load cmd_sg_entries=255
  mkdir -p /dev/vg0
  modprobe loop
  for number in 1 2; do
    truncate -s 64M "disk$number"
    ln -sfn "$(losetup --find --show "disk$number")" "/dev/vg0/disk$number"
  done
  # As Debian's package has it; the target is the README's.
  echo 'include /etc/tgt/conf.d/*.conf' >/etc/tgt/targets.conf
  sed -n 's/^ *//; /^<target iqn/,/^<\/target>/p' "$checkout/README.md" >/etc/tgt/conf.d/srp.conf
  mkdir -p /etc/rtslib-fb-target
  cp "$checkout/tests/migration/scst-groups/scst.conf" /etc/
  cp "$checkout/tests/migration/lio-simple/saveconfig.json" /etc/rtslib-fb-target/
  echo 'options ib_srpt srp_max_req_size=4148' >/etc/modprobe.d/ib_srpt.conf
  # The checkout is read-only here, and built already: building it again writes beside it.
  mkdir upper work
  mount -t overlay -o "lowerdir=$checkout,upperdir=$PWD/upper,workdir=$PWD/work" checkout "$checkout"
}

leave_the_place() {
  umount -l "$checkout"
  losetup -D
  modprobe -r ib_srp
  rm -f /run/ib_srp.parameters
  rdma dev set "$rdma_device" name rxe0
}

# ---- before a command ----

say_and_prepare() {
  echo "$SECONDS s: $place: $command"
  prepare "$command"
  export login disk port
  host=$(srp_hosts | tail -n 1)
  disk=$(basename "$(compgen -G "/sys/class/scsi_device/$host:0:0:1/device/block/sd*" || true)")
  port=$(srp_port "$host")
}

# What a command needs. Most get a target with a disk and a session.
prepare() {
  case $1 in
    apt* | cmake* | man\ * | modinfo* | contrib/*) return ;;
    # These go on where the command before them ended.
    *'--lun 1 --backing-store'* | *'--op bind'* | *--value\ ready | tgt-admin\ --ready* | *'lld --op start') return ;;
  esac
  case $1 in
    tgt-admin\ --execute | *'--mode target --op new'* | *'--mode lld --op stop') run_target; no_targets; return ;;
  esac
  serve_target
  case $1 in
    modprobe\ ib_srp*) log_out; modprobe -r ib_srp ;;
    tgt-admin\ --update* | tgt-admin\ --delete* | *add_target | srp-login\ login* | srp-login\ enable*) log_out ;;
    *) log_in ;;
  esac
}

run_target() { tgtd_answers || tgtd_start; }

# The login string is made of the target's name and the machine's identity, and stays.
serve_target() {
  if ! has_login_string 1 2>/dev/null; then
    run_target
    [[ -n $(targets) ]] || tgt-admin --execute
    wait_for 30 has_login_string 1
  fi
  login=${login:-$(login_string 1)}
}

no_targets() {
  local tid
  log_out
  for tid in $(targets); do srpadm --mode target --op delete --tid "$tid"; done
}

# A session that was ended comes back by itself.
log_in() {
  local host
  host=$(srp_hosts | tail -n 1)
  if [[ -z $host ]]; then
    host=$(srp_login "$(login_string 1)")
  fi
  patient "$host"
  wait_for 60 has_sessions 1 1
  disk_of "$host" 1 >/dev/null
}

log_out() {
  local host
  for host in $(srp_hosts); do srp_logout "$host"; done
  [[ -z $(targets) ]] || wait_for 20 has_sessions 1 0
}

# ---- the command ----

# What is different here: the target's identity, numbers that Linux and tgtd hand out, and words for a choice.
# shellcheck disable=SC2016  # the shell that runs the command knows $login
as_here() {
  local sid=
  [[ $1 != *--sid* ]] || sid=$(number_after Session "$(srpadm --mode conn --op show)")
  sed -E \
    -e "s/id_ext=[0-9a-f]{16},ioc_guid=[0-9a-f]{16},dest=$ipv4:5000/$login/" \
    -e "s,port-H:1,port-$host:1," \
    -e "s,--sid 1,--sid $sid," \
    -e 's,--value VALUE,--value all,' \
    -e 's,\<STRING\>,"$login",' <<<"$1"
}

# To install packages is only simulated.
apt() { apt-get --simulate "$@"; }

# try: run $command, and note in $case_log/commands how it went: nothing, or what is wrong.
try() {
  local status=0 why='' typed
  typed=$(as_here "$command")
  (cd "$checkout" && timeout 300 bash -c "$typed") >said 2>&1 </dev/null || status=$?
  if ((status)); then
    why="status $status: $(tail -n 3 said | tr '\n' '|')"
  else
    why=$(effect "$command" 2>&1 >/dev/null) || why="status 0, but ${why:-it had no effect}"
  fi
  { echo "== $place: $typed" && head -c 20000 said; } >>"$case_log/said"
  printf '%s\t%s\t%s\n' "$place" "$command" "$why" | tee -a "$case_log/commands"
  [[ -z $why ]]
}

# What must be so after a command, besides its exit status.
effect() {
  local pattern case_log=$PWD
  rm -f reason
  pattern=$(output_of "$1")
  [[ -z $pattern ]] || assert_match "$1" "$pattern" "$(<said)"
  case $1 in
    *'cmake --install'*) assert_installed ;;
    *execute | *'target --op new'* | *--update\ ALL) assert_equal 'targets' 1 "$(targets)" ;;
    tgt-admin\ --delete*) assert_equal 'targets' '' "$(targets)" ;;
    *'--op bind'*) assert_match 'the ACL' '192.168.10.0/24' "$(srpadm --mode target --op show)" ;;
    *add_target) disk_of "$(srp_hosts | tail -n 1)" 1 ;;
    *'port-H:1/delete' | *--value\ offline) wait_for 20 has_sessions 1 0 ;;
    *--offline*) assert_match 'its state' 'State: offline' "$(srpadm --mode target --op show)" ;;
    *--ready*) assert_match 'its state' 'State: ready' "$(srpadm --mode target --op show)" ;;
    *credits*) assert_match 'the setting' 'credits = 64' "$(srpadm --mode sys --op show)" ;;
    *'portal --op new'*) assert_match 'the portals' '10.0.0.1:5001' "$(srpadm --mode portal --op show)" ;;
  esac
}

assert_installed() {
  [[ -e /usr/lib/tgt/backing-store/lld_srp.so ]] || fail 'the module is not where tgtd looks for it'
  cmp "$checkout/build/lld_srp.so" /usr/lib/tgt/backing-store/lld_srp.so || fail 'the module is another'
}

# output_of COMMAND: a pattern that its output must match.
output_of() {
  case $1 in
    man\ *) echo '^NAME' ;;
    rdma\ link*) echo "$rdma_device/1 state ACTIVE" ;;
    ibv_devinfo*) echo PORT_ACTIVE ;;
    ip\ addr*) echo "$ipv4" ;;
    lsscsi*) echo 'IET +VIRTUAL-DISK' ;;
    *'portal --op show') echo '^Portal: ' ;;
    *'target --op show --tid 1') echo "Login: id_ext=.*dest=$ipv4:5000" ;;
    *'target --op show') echo '^Target 1: iqn' ;;
    *'conn --op show'*) echo 'Session: ' ;;
    *'conn --op stat') echo '"targets": \[' ;;
    *'session --op stat'*) echo 'tgt lun' ;;
    *'sys --op show') echo 'State: listening' ;;
    *--dump) echo '<target iqn' ;;
    srp-login\ list) echo running ;;
    srp-login\ multipath) echo '^devices' ;;
    contrib/*-to-tgt*) echo '<target ' ;;
  esac
}
