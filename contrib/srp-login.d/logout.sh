# shellcheck shell=bash disable=SC2154  # srp-login, which sources this, sets the variables
# Logging out, with care for disks in use.

# uses DISK: who has it or a partition of it, a line each.
uses() {
  local part name holder
  for part in "/sys/class/block/$1" "/sys/class/block/$1/$1"*; do
    name=${part##*/}
    { cat /proc/[0-9]*/mountinfo 2>/dev/null || true; } | awk -v number="$(<"$part/dev")" -v name="$name" '
      {for (i = 7; i < NF && $i != "-"; i++);}
      $3 == number || $(i + 2) == "/dev/" name {print name " is mounted on " $5}' | sort -u
    for holder in "$part"/holders/*; do
      say "$name is part of ${holder##*/}$(sed 's/.*/ (&)/' "$holder/dm/name" 2>/dev/null)"
    done
    ! grep -q "^/dev/$name " /proc/swaps || say "$name is swapped to"
  done
}

# log_out HOST...: all or, if a disk is in use, none.
log_out() {
  local host disk used=
  need_root
  for host in "$@"; do
    for disk in $(disks "$host"); do used+=$(uses "$disk" | sed "s/^/  /; s/\$/ (host$host)/")$'\n'; done
  done
  used=$(grep . <<<"$used" || true)
  if [[ -n $used ]]; then
    warn "disks are in use:"
    say "$used" >&2
    [[ -n $force ]] || die 4 "nothing is logged out: unmount and release them first, or lose data with --force"
  fi
  for host in "$@"; do end_session "$host"; done
}

end_session() {
  local disk state
  state=$(state_of "$1")
  for disk in $(disks "$1"); do
    # While a session is lost this would wait for the target.
    [[ $state != running ]] || blockdev --flushbufs "/dev/$disk" || warn "$disk: what is cached could not be written"
  done
  echo 1 >"$(remote_port "$1")/delete"
  within test ! -e "/sys/class/scsi_host/host$1" ||
    die 1 "host$1 is still being removed after $wait_limit s: its commands wait for the target; see dmesg"
  rm -f "$record_dir/host$1"
  say "logged out: host$1"
}
