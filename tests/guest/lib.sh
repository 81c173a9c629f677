# shellcheck shell=bash disable=SC2034,SC2119,SC2120  # used by those who source this
# What a guest case is written with: RDMA, the target, the initiator, load, and assertions. Sourced, under
# `set -eEuo pipefail`. A case runs in its own process, in an empty directory, with $case_log (on the host's share) for
# what should be kept. Every wait has a bound, and no bound measures speed: they are all many times what is needed.

checkout=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
ipv4=192.168.99.1
ipv6=fd73:7270:7467::1   # unique local
gids=(0000:0000:0000:0000:0000:ffff:c0a8:6301 fd73:7270:7467:0000:0000:0000:0000:0001)   # the same, as RDMA has them
netdev=rdma0
provider=${provider:-rxe}   # the kernel's soft RDMA: rxe is RoCE, siw is iWARP
rdma_device=${provider}0
initiator=/sys/class/infiniband_srp/srp-$rdma_device-1   # a port of the initiator's driver
case_log=${case_log:-/mnt}

# ---- saying what happened ----

note() { printf 'NOTE %s\n' "$*"; }

# fail WHY: end the case. The first reason given is the one that is reported, in one line.
fail() {
  local why=${*//$'\n'/ | }
  [[ -s $case_log/reason ]] || printf '%s\n' "$why" >"$case_log/reason"
  printf 'failed: %s\n' "$why" >&2
  exit 1
}

assert_equal() { [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"; }
assert_match() { grep -qE -- "$2" <<<"$3" || fail "$1: nothing matches '$2' in: $(head -c 300 <<<"$3")"; }
assert_alive() { kill -0 "$1" 2>/dev/null || fail "$2 has ended, it should be running"; }
assert_fails() { ! "$@" || fail "should have failed: $*"; }

# within SECONDS COMMAND...: is COMMAND true before the time is over?
within() {
  local end=$((SECONDS + $1))
  until "${@:2}"; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done 2>/dev/null
}

wait_for() { within "$@" || fail "after $1 s still not so: ${*:2}"; }

gone() { ! kill -0 "$1"; }

# ---- RDMA ----

# A soft RDMA device with an IPv4 and an IPv6 address, and the initiator's driver. A frame of 4200 bytes gives room for
# the largest InfiniBand MTU, 4096.
rdma_up() {
  if [[ ! -e /sys/class/net/$netdev ]]; then
    modprobe -a "$(provider_module)" ib_uverbs rdma_ucm sd_mod sg
    ip link add "$netdev" type dummy
  fi
  link_up
  [[ -e /sys/class/infiniband/$rdma_device ]] ||
    rdma link add "$rdma_device" type "$provider" netdev "$netdev"
  initiator_load cmd_sg_entries=255
  wait_for 20 is_usable
}

provider_module() {
  case $provider in
    rxe) echo rdma_rxe ;;
    *) echo "$provider" ;;
  esac
}

# RoCE has a gid for each address; an iWARP port has one, from its netdev's hardware address, and takes any address.
is_usable() {
  local port=/sys/class/infiniband/$rdma_device/ports/1 gid
  grep -q ACTIVE "$port/state" || return 1
  [[ $provider == rxe ]] || return 0
  for gid in "${gids[@]}"; do
    grep -qsx "$gid" "$port"/gids/* || return 1
  done
}

# The kernel lets nobody wait for this with a time limit, so it is done in the background.
rdma_down() {
  rdma link delete "$rdma_device" &
  within 60 gone $! || fail "rdma link delete $rdma_device does not end: who holds the device?"
  wait $!
}

link_up() {
  ip link set "$netdev" mtu 4200 up
  ip addr replace "$ipv4/24" dev "$netdev"
  ip addr replace "$ipv6/64" dev "$netdev" nodad
}

link_down() { ip link set "$netdev" down; }

# ---- the target ----

srpadm() { tgtadm --lld srp "$@"; }

# tgtd_start [NAME=VALUE...] [OPTION...]: the stock daemon with the plugin as built. It is copied once for each boot, so
# that a build in the meantime does not change it between two cases.
tgtd_start() {
  [[ -e /usr/lib/tgt/backing-store/lld_srp.so ]] ||
    install -m 644 "$checkout/build/lld_srp.so" /usr/lib/tgt/backing-store/
  local -a environment=()
  while [[ ${1-} == *=* ]]; do environment+=("$1"); shift; done
  ulimit -l unlimited   # siw counts locked memory for root as well
  env ${environment[@]+"${environment[@]}"} tgtd -f "$@" >>"$case_log/tgtd.log" 2>&1 &
  tgtd_pid=$!
  echo "$tgtd_pid" >/run/tgtd.case
  within 30 tgtd_answers || fail "tgtd does not answer: $(tail -n 3 "$case_log/tgtd.log")"
  assert_match 'the plugin is loaded' '^srp' "$(tgtadm --mode lld --op show | sed 's/^ *//')"
}

tgtd_answers() { tgtadm --mode sys --op show >/dev/null; }

# An orderly end: no target may be in use, and tgtd must say 0.
tgtd_stop() {
  local tid status=0
  for tid in $(targets); do
    within 20 srpadm --mode target --op delete --tid "$tid" || fail "target $tid cannot be deleted"
  done
  tgtadm --mode system --op delete
  within 30 gone "$tgtd_pid" || fail "tgtd did not end after system delete"
  wait "$tgtd_pid" || status=$?
  assert_equal "tgtd's exit status" 0 "$status"
}

tgtd_kill() {
  kill -KILL "$tgtd_pid"
  wait "$tgtd_pid" 2>/dev/null || true
}

targets() { srpadm --mode target --op show | sed -n 's/^Target \([0-9]*\):.*/\1/p'; }

# target_add TID [INITIATOR]: a target that admits INITIATOR (default ALL, "" for nobody).
target_add() {
  srpadm --mode target --op new --tid "$1" --targetname "target-$1"
  [[ -z ${2-ALL} ]] || admit "$1" "${2-ALL}"
}

admit() { srpadm --mode target --op bind --tid "$1" -I "$2"; }

# lun_add TID LUN MiB: a file in memory, of zeros, as a disk.
lun_add() {
  local file=$PWD/disk-$1-$2
  [[ -e $file ]] || truncate -s "$3M" "$file"
  srpadm --mode logicalunit --op new --tid "$1" --lun "$2" -b "$file"
}

sessions() { srpadm --mode conn --op show --tid "$1" | grep -c '^ *Session: ' || true; }
has_sessions() { [[ $(sessions "$1") -eq $2 ]]; }

# A target with one disk of so many MiB, by default: what most cases want. Admission comes last, as with tgt-admin: an
# initiator that waits for the target must not find it without its disk.
serve() {
  tgtd_start
  target_add 1 ""
  lun_add 1 1 "${1:-128}"
  admit 1 ALL
}

# ---- the initiator ----

# initiator_load [PARAMETER=VALUE...]: the initiator's driver with these module parameters, loaded anew if it has
# others; no session may be there then. Each case begins with what rdma_up loads.
initiator_load() {
  initiator_driver "$@"
  wait_for 20 test -e "$initiator/add_target"
}

# The driver alone, with or without a device.
initiator_driver() {
  local loaded=/run/ib_srp.parameters
  if [[ ! -e $loaded || $(<$loaded) != "$*" ]]; then
    modprobe -r ib_srp
    modprobe ib_srp "$@"
    echo "$*" >$loaded
  fi
}

# assert_host NAME VALUE: an attribute of the initiator's SCSI host $host.
assert_host() { assert_equal "$1 of host $host" "$2" "$(<"/sys/class/scsi_host/host$host/$1")"; }

# assert_counted NAME: the one place where a case asks the target whether it has seen what the case is about, such as
# commands with an external table: a line "NAME: COUNT" of its session, with a count above 0.
assert_counted() {
  local shown count
  shown=$(srpadm --mode conn --op show --tid 1)
  count=$(number_after "$1" "$shown")
  ((${count:-0} > 0)) || fail "the target has seen none of: $1"
}

# number_after LABEL TEXT: of the first line "LABEL: NUMBER".
number_after() { sed -n "s/^ *$1: \([0-9]*\).*/\1/p" <<<"$2" | head -n 1; }

# login_string TID [ipv4|ipv6]: what the driver tells the administrator to paste.
login_string() {
  local address=$ipv4 shown
  [[ ${2:-ipv4} == ipv4 ]] || address="[$ipv6]"
  shown=$(srpadm --mode target --op show --tid "$1")
  grep -F -- "dest=$address:" <<<"$shown" | sed -n 's/^ *Login: *\([^ ]*\).*/\1/p' | grep -m 1 .
}

has_login_string() { login_string "$@" >/dev/null; }

# srp_login STRING [OPTION...]: log in and print the SCSI host's number. Options as in add_target, such as queue_size=8.
srp_login() {
  local words before
  words=$(IFS=,; echo "$*")
  before=$(srp_hosts | sort)
  add_target_when_free "$words" || fail "login refused: $words; $(dmesg | tail -n 3)"
  comm -13 <(echo "$before") <(srp_hosts | sort) | grep . || fail "no new SCSI host for $words"
}

# The driver forgets a session a moment after its SCSI host is gone; until then it says "Already connected".
add_target_when_free() {
  local end=$((SECONDS + 30))
  until add_target "$1"; do
    dmesg | tail -n 3 | grep -q 'Already connected' || return 1
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

add_target() { timeout 60 bash -c "echo '$1' >$initiator/add_target"; }

srp_hosts() {
  local host
  for host in /sys/class/scsi_host/host*; do
    [[ ! -e $host/id_ext ]] || echo "${host##*/host}"
  done
}

srp_port() { echo "/sys/class/srp_remote_ports/port-$1:1"; }

# disk_of HOST LUN: its device, once it can be opened. There is no udev here; devtmpfs makes the node.
disk_of() {
  wait_for 30 disk_is_there "$1" "$2"
  basename "$(echo /sys/class/scsi_device/"$1":0:0:"$2"/device/block/*)" | sed 's,^,/dev/,'
}

disk_is_there() { compgen -G "/sys/class/scsi_device/$1:0:0:$2/device/block/sd*" >/dev/null; }

# attach [LUN] [OPTION...]: log in to target 1 and set $host and $disk. Recovery is set to be quick: a lost session is
# tried again after a second, and commands wait for it as long as it takes.
attach() {
  local string
  within 30 has_login_string 1 || fail "target 1 shows no Login: line for $ipv4"
  string=$(login_string 1)
  host=$(srp_login "$string" "${@:2}")
  disk=$(disk_of "$host" "${1:-1}")
  patient "$host"
}

patient() {
  local port
  port=$(srp_port "$1")
  echo off >"$port/fast_io_fail_tmo"
  echo 600 >"$port/dev_loss_tmo"
  echo 1 >"$port/reconnect_delay"
}

# The opposite: a session that stays lost fails its commands after two seconds.
impatient() { echo 2 >"$(srp_port "$1")/fast_io_fail_tmo"; }

srp_logout() {
  timeout 60 bash -c "echo 1 >$(srp_port "$1")/delete" || fail "host $1: log-out did not end"
  wait_for 60 test ! -e "/sys/class/scsi_host/host$1"
}

is_running() { [[ $(<"$(srp_port "$1")/state") == running ]]; }

# ---- load ----

blocks=512/20:4k/30:16k/20:64k/15:256k/8:1m/5:4m/2   # sizes of a mixed load, with their shares in per cent

# verified DISK MiB [OPTION...]: write all over the disk at random, then read all of it back by checksum.
verified() {
  timeout 400 fio --name=verified --filename="$1" --allow_file_create=0 --size="$2M" --randrepeat=1 \
    --direct=1 --ioengine=libaio --iodepth=32 --rw=randwrite --bssplit="$blocks" \
    --verify=crc32c --verify_fatal=1 --verify_state_save=0 "${@:3}"
}

# load_start DISK [OPTION...]: the same in the background, 48 MiB, slow enough that its writing lasts at least 12 s,
# whatever the machine: time to disturb it. Sets $load_pid. An error in it is the case's business, not yet a failure.
load_start() {
  load_log=$case_log/load-${1##*/}.log
  { verified "$1" 48 --rate=,4m "${@:2}" || exit; } >"$load_log" 2>&1 &
  load_pid=$!
  sleep 2
  load_goes_on
}

load_goes_on() { assert_alive "$load_pid" "the load ($(load_says))"; }
load_says() { grep -m 1 -iE 'error|verify:' "$load_log" || echo 'it reports no error'; }

# load_end clean|error: wait for the load, and for what it should say.
load_end() {
  local status=0
  within 300 gone "$load_pid" || fail "the load hangs"
  wait "$load_pid" || status=$?
  case $1:$status in
    clean:0) ;;
    clean:*) fail "the load ends with status $status: $(load_says)" ;;
    error:0 | error:124) fail "the load should have ended with an error, not with status $status" ;;
  esac
}
