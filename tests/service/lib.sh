# shellcheck shell=bash disable=SC2034  # used by those who source this
# What a case of the service is written with, besides ../guest/lib.sh: the unit, its journal, initiators of both
# protocols, and loads on several disks.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source-path=SCRIPTDIR source=../guest/lib.sh
. "$here/../guest/lib.sh"

unit=tgt   # Debian's name; upstream's is tgtd
iqn=iqn.2026-11.example:c
package=/var/tmp/tgt-srp.deb
drop_ins=/etc/systemd/system/tgt.service.d   # the administrator's

# ---- the service ----

property() { systemctl show -P "$1" "$unit"; }

# mark: what is said from here on, by the unit and by the kernel, is what said and kernel_said print.
mark() {
  cursor=$(journalctl -q -b -n 1 --show-cursor | sed -n 's/^-- cursor: //p')
  dmesg -C
}

said() { journalctl -q -b --no-pager -o cat -u "$unit" --after-cursor "$cursor"; }
kernel_said() { dmesg; }

# assert_ended_well: the daemon ended by itself, because it was asked to.
assert_ended_well() {
  assert_equal 'state of the unit' inactive "$(property ActiveState)"
  assert_equal 'result of the unit' success "$(property Result)"
  assert_equal "tgtd's exit status" 0 "$(property ExecMainStatus)"
  assert_unmatched "the unit's journal" 'SIGKILL|SIGTERM|timed out|Failed with|Control process exited' "$(said)"
}

assert_unmatched() { ! grep -qE -- "$2" <<<"$3" || fail "$1: $(grep -m 1 -E -- "$2" <<<"$3")"; }

# service VERB [SECONDS]: of the unit; notes how long it took.
service() {
  local begun=$SECONDS
  timeout 150 systemctl "$1" "$unit"
  note "systemctl $1 $unit: $((SECONDS - begun)) s"
}

driver_is() { tgtadm --mode lld --op show | grep -qx "    $1: $2"; }

# tid NAME: tgt-admin numbers targets in no particular order.
tid() { tgtadm --mode target --op show | sed -n "s/^Target \([0-9]*\): $1\$/\1/p" | grep .; }

# target_file NAME STORE: configure one more SRP target.
target_file() {
  printf '<target srp.example:%s>\n  driver srp\n  backing-store %s\n</target>\n' "$1" "$2" >"/etc/tgt/conf.d/$1.conf"
}

# ---- initiators ----

# srp_in NAME: log in to a target of srp.example; sets $host and $disk. It waits for a target that is away.
srp_in() {
  local id
  id=$(tid "srp.example:$1")
  within 30 has_login_string "$id" || fail "target $1 shows no Login: line for $ipv4"
  host=$(srp_login "$(login_string "$id")")
  disk=$(disk_of "$host" 1)
  patient "$host"
}

# The service of the login that the machine has booted with.
kept_login() { systemctl list-units --all --plain --no-legend 'srp-login@*' | awk '{print $1}'; }

forget_login() {
  local login
  login=$(kept_login)
  [[ -n $login ]] || return 0
  ! mountpoint -q /srv || umount /srv
  : >/etc/fstab
  systemctl --quiet disable --now "$login"
  systemctl daemon-reload
}

iscsi_in() {
  modprobe iscsi_tcp
  iscsiadm -m node -T "$iqn" -p 127.0.0.1 --op new >/dev/null
  iscsiadm -m node -T "$iqn" -p 127.0.0.1 --login
  wait_for 30 iscsi_disk
  disk=$(iscsi_disk)
}

iscsi_disk() { readlink -e "/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-$iqn-lun-1"; }

# all_in: log in to all three targets; sets $hosts, $disks, and $srp_disks, which are two of these.
all_in() {
  local name
  hosts=() disks=()
  rdma_up
  for name in a b; do
    srp_in "$name"
    hosts+=("$host") disks+=("$disk")
  done
  srp_disks=("${disks[@]}")
  iscsi_in
  disks+=("$disk")
}

all_out() {
  local host
  for host in $(srp_hosts); do
    srp_logout "$host"
  done
  iscsiadm -m node --logout || true
}

# ---- loads ----

# loads_start MiB DISK...: on all at once, each long enough to be disturbed.
loads_start() {
  local mib=$1 disk
  shift
  loads=()
  for disk; do
    { verified "$disk" "$mib" --rate=,4m || exit; } >"$case_log/load-${disk##*/}.log" 2>&1 &
    loads+=($!)
  done
  sleep 2
  loads_go_on
}

loads_go_on() {
  local load
  for load in "${loads[@]}"; do assert_alive "$load" "a load ($(load_errors))"; done
}

load_errors() { grep -hm 1 -iE 'error|verify:' "$case_log"/load-*.log || echo 'none reports an error'; }

# loads_end: all their data is there, and no command failed.
loads_end() {
  local load
  for load in "${loads[@]}"; do
    within 200 gone "$load" || fail "a load hangs"
    wait "$load" || fail "a load ended with an error: $(load_errors)"
  done
}

# ---- after a case ----

# However it ended: no load, no session, and the service as at boot.
clean_up() {
  local host
  pkill -KILL fio || true
  [[ $name == boot_without_rdma ]] || forget_login
  rm -f /etc/tgt/conf.d/d.conf
  for host in $(srp_hosts); do impatient "$host" || true; done
  if [[ -e $drop_ins/hardened.conf || -e /etc/systemd/system/tgtd.service ]]; then
    systemctl stop tgtd || true
    rm -rf "$drop_ins" /etc/systemd/system/tgtd.service
    systemctl daemon-reload
    systemctl stop tgt
  fi
  systemctl start tgt || { systemctl reset-failed tgt && systemctl start tgt; }
  (all_out)
}
