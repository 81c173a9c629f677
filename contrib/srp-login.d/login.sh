# shellcheck shell=bash disable=SC2154  # srp-login, which sources this, sets the variables
# Logging in, and saying why not.

# log_in: as option says.
log_in() {
  local port file host ext
  port=$(choose_port)
  file=/sys/class/infiniband_srp/srp-${port/\//-}/add_target
  ext=${option[initiator_ext]-$(default_ext "$port")}
  [[ $ext == "$no_ext" ]] || option[initiator_ext]=$ext
  if [[ -n $dry ]]; then
    say "echo $(driver_string) >$file"
    return
  fi
  need_root
  load_driver
  [[ -e $file ]] || die 5 "there is no RDMA port $port for ib_srp; there are:$(links)"
  host=$(session_at "$port")
  if [[ -z $host ]]; then
    ask "$port" "$file"
    host=$(session_at "$port")
    [[ -n $host ]] || fail_with 'the session was lost while the disks were looked for'
    take_note "$host"
    await_disks "$host"
    say "logged in: host$host, $port, $(describe "$host")"
  else
    same_or_unknown "${option[dest]-}" "$(noted "$host" dest)" ||
      die 1 "host$host is this target's session already, by another way: $(destination "$host")." \
        "For one more through the same RDMA port add initiator_ext= and 16 digits"
    say "already logged in: host$host, $port, $(state_of "$host"), $(describe "$host")"
  fi
}

# session_at PORT: the host that the driver would call the same session.
session_at() {
  local host
  for host in $(hosts); do
    if [[ $(port_of "$host") == "$1" ]] && is_nexus "$host"; then
      say "$host"
      return
    fi
  done
}

# ask PORT FILE: write the string. "File exists" says that somebody else was quicker, or that a session which has just
# ended is not forgotten yet. The kernel's last line before it is kept in $mark.
ask() {
  local error end=$((SECONDS + 20))
  mark=$(dmesg 2>/dev/null | tail -n 1) || true
  until error=$({ driver_string >"$2"; } 2>&1) || [[ -n $(session_at "$1") ]]; do
    error=${error##*: }
    [[ $error == 'File exists' && $SECONDS -lt $end ]] || fail_with "$error"
    sleep 0.3
  done
}

# since LINE: what ib_srp has said after it; without permission to read the log, nothing.
since() {
  { dmesg 2>/dev/null || true; } | awk -v mark="$1" '
    $0 == mark {text = ""; next}
    /ib_srp|REJ reason|scsi host[0-9]+: / {text = text $0 "\n"}
    END {printf "%s", text}' | tail -n 5
}

# fail_with ERROR: why, in the administrator's words, and what to do; then the kernel's own.
fail_with() {
  local to=${option[dest]-${option[dgid]-}} why said
  said=$(since "$mark")
  case $1:$said in
    *'max_it_iu_len too large'*)
      why="the target takes no requests this large: add cmd_sg_entries=12, or raise srp_max_req_size there" ;;
    'Connection reset by peer:'*'REJ reason 0x8'* | 'Connection refused:'*)   # RoCE and InfiniBand, iWARP
      why="nothing listens at $to: is tgtd running there, with this address and port?"
      why+=" (on it: tgtadm --lld srp --mode portal --op show)" ;;
    'Connection reset by peer:'*)
      why="the target refused; its log says why (on it: journalctl -u tgt | grep 'login refused')" ;;
    'No route to host:'* | 'Connection timed out:'*)
      why="nothing answers at $to: is it up, and does a firewall let RDMA pass? (RoCE: UDP port 4791)" ;;
    'No such device or address:'*)
      why="$to cannot be reached from this RDMA port: ping it, and see ip neighbour" ;;
    'File exists:'*)
      why="such a session is still ending, or was made in another network name space: see dmesg" ;;
    'Invalid argument:'*)
      why="the driver takes the string for wrong, or the way to $to is not by this RDMA port: leave --device out" ;;
    'Interrupted system call:'*) why="interrupted" ;;
    *) why="$1" ;;
  esac
  warn "login to $to failed: $why"
  [[ -z $said ]] || printf '  kernel: %s\n' "${said//$'\n'/$'\n  kernel: '}" >&2
  exit 1
}

# The kernel makes disks in the background.
await_disks() { within disks_are_there "$1" || warn "some disks of host$1 are still being made: see lsscsi"; }

disks_are_there() {
  local unit block
  for unit in /sys/class/scsi_device/"$1":*/device; do
    block=("$unit"/block/*)
    [[ $(<"$unit/type") != 0 || -n ${block-} ]] || return 1
  done
}
