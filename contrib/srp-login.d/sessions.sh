# shellcheck shell=bash disable=SC2154  # srp-login, which sources this, sets the variables
# The sessions that are there, and their disks.

# The numbers of ib_srp's SCSI hosts.
hosts() {
  local file
  for file in /sys/class/scsi_host/host*/ioc_guid; do
    file=${file%/*}
    say "${file##*/host}"
  done | sort -n
}

# attribute HOST NAME: empty where the driver has none.
attribute() {
  local value=
  { read -r value <"/sys/class/scsi_host/host$1/$2"; } 2>/dev/null || true
  say "${value#0x}"
}

port_of() { say "$(attribute "$1" local_ib_device)/$(attribute "$1" local_ib_port)"; }
remote_port() { say "/sys/class/srp_remote_ports/port-$1:1"; }

state_of() {
  local state=lost
  { read -r state <"/sys/class/srp_remote_ports/port-$1:1/state"; } 2>/dev/null || true
  say "$state"
}

# The driver tells neither where a session leads nor our identifier extension, so we take a note. Numbers of hosts are
# used again: the inode tells whether a note is of the same one.
declare -A notes=()   # login strings, by host

read_notes() {
  local inode port host noted text
  notes=()
  while read -r inode port; do
    host=${port##*/port-}
    host=${host%:1}
    { read -r noted text <"$record_dir/host$host"; } 2>/dev/null || continue
    [[ $noted != "$inode" ]] || notes[$host]=$text
  done < <(stat -L -c '%i %n' /dev/null /sys/class/srp_remote_ports/port-*:1 2>/dev/null)
}

take_note() {
  mkdir -p "$record_dir"
  say "$(stat -L -c %i "$(remote_port "$1")") $(driver_string)" >"$record_dir/host$1"
  notes[$1]=$(driver_string)
}

# noted HOST KEY: empty if unknown.
noted() { [[ ! ,${notes[$1]-}, =~ ,$2=([^,]*), ]] || say "${BASH_REMATCH[1]}"; }

destination() {
  local to
  to=$(noted "$1" dest)
  [[ -n $to ]] || to=$(attribute "$1" orig_dgid)
  [[ -n $to ]] || to=$(dmesg 2>/dev/null |
    sed -n "s/.* host$1: .*new target: id_ext $(attribute "$1" id_ext) .* dest \([^ ]*\)\$/\1/p" | tail -n 1)
  say "${to:-?}"
}

# Our identifier: an extension, and the GUID that ends the port's gid.
initiator_id() {
  local ext gid
  ext=$(noted "$1" initiator_ext)
  [[ -n $ext || -z ${notes[$1]-} ]] || ext=$no_ext
  gid=$(attribute "$1" sgid)
  gid=${gid//:/}
  say "${ext:-?}:${gid:16}"
}

disks() {
  local path
  for path in /sys/class/scsi_device/"$1":*/device/block/*; do say "${path##*/}"; done
}

has_disk() {
  local path
  for path in /sys/class/scsi_device/"$1":*/device/block/*; do [[ ${path##*/} != "$2" ]] || return 0; done
  return 1
}

# describe HOST: "sdb 64MiB IET VIRTUAL-DISK; sdc ...".
describe() {
  local disk line=
  for disk in $(disks "$1"); do line+="${line:+; }$(describe_disk "$disk")"; done
  say "${line:-no disks}"
}

describe_disk() {
  local block=/sys/class/block/$1 vendor model
  read -r vendor <"$block/device/vendor"
  read -r model <"$block/device/model"
  say "$1 $(numfmt --to=iec-i --suffix=B $((512 * $(<"$block/size")))) $vendor $model"
}

same_or_unknown() { [[ -z $1 || -z $2 || $1 == "$2" ]]; }

# is_nexus HOST: between the target and the identifier that option names, as far as can be known. The driver has one
# such session for each RDMA port, the target one for each identifier.
is_nexus() {
  local wanted ext
  [[ $(attribute "$1" id_ext) == "${option[id_ext]}" && $(attribute "$1" ioc_guid) == "${option[ioc_guid]}" ]] ||
    return 1
  wanted=${option[initiator_ext]-$(default_ext "$(port_of "$1")")}
  ext=$(initiator_id "$1")
  [[ ${ext%%:*} == @("$wanted"|"?") ]]
}

# is_session HOST: the same, by the way that option names.
is_session() {
  is_nexus "$1" && same_or_unknown "${option[device]-}" "$(port_of "$1")" &&
    same_or_unknown "${option[dest]-}" "$(noted "$1" dest)"
}

# matching SELECTOR: the hosts that it means.
matching() {
  local what=${1#/dev/} host
  what=${what#0x}
  for host in $(hosts); do
    if [[ $what == @("$host"|"host$host"|"$(attribute "$host" id_ext)") ]] || has_disk "$host" "$what" ||
      leads_to "$host" "$what" || [[ $what == "$(kept_as "$host")" ]]; then
      say "$host"
    fi
  done
}

leads_to() {
  local to
  to=$(destination "$1")
  [[ $2 == "$to" || $2 == "$(address "$to")" || $2 == "[$(address "$to")]" ]]
}
