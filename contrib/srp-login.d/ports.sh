# shellcheck shell=bash disable=SC2154  # srp-login, which sources this, sets the variables
# Which RDMA port leads to a target, and what it lacks.

# interface_to DESTINATION [SOURCE]: by which packets leave; for an address of this host, the one that has it.
interface_to() {
  local address route name from=()
  address=$(address "$1")
  name=$(scope "$1")
  [[ -z $name ]] || { interface_named "$name" && return; }
  [[ -z ${2-} ]] || from=(from "$(address "$2")")
  route=$(ip -o route get "$address" "${from[@]}" 2>&1) ||
    die 1 "there is no route to $address (${route##*: }): check its spelling, ip route, and that the link is up"
  if [[ $route == local\ * ]]; then
    ip -o address show to "$address" | awk 'NR == 1 {print $2}'
  else
    sed -n 's/.* dev \([^ ]*\).*/\1/p' <<<"$route"
  fi
}

# interface_named NAME|INDEX
interface_named() {
  local file
  [[ ! -e /sys/class/net/$1 ]] || { say "$1" && return; }
  for file in /sys/class/net/*/ifindex; do
    [[ $(<"$file") != "$1" ]] || { cut -d / -f 5 <<<"$file" && return; }
  done
  die 1 "there is no interface '$1' here: say which one leads to the target, see ip link"
}

# rdma_port INTERFACE: DEVICE/PORT, of the interface itself or of what it stands on: VLANs, bonds, bridges.
rdma_port() {
  local net=/sys/class/net/$1 port lower
  port=$(rdma link show 2>/dev/null | awk -v name="$1" '
    {for (i = 3; i < NF; i++) if ($i == "netdev" && $(i + 1) == name && !found++) print $2}')
  if [[ -z $port && $(<"$net/type") == 32 ]]; then   # IP over InfiniBand
    lower=("$net"/device/infiniband/*)
    [[ -z ${lower-} ]] || port=${lower##*/}/$(($(<"$net/dev_port") + 1))
  fi
  [[ -z $port ]] || { say "$port" && return; }
  local active=
  [[ ! -s $net/bonding/active_slave ]] || active=$(<"$net/bonding/active_slave")
  for lower in ${active:+"$net/lower_$active"} "$net"/lower_*; do
    rdma_port "${lower##*/lower_}" && return
  done
  return 1
}

# choose_port: DEVICE/PORT for option.
choose_port() {
  local interface port
  if [[ -n ${option[device]-} ]]; then
    say "${option[device]}"
    return
  fi
  interface=$(interface_to "${option[dest]}" "${option[src]-}")
  port=$(rdma_port "$interface") ||
    die 5 "there is no RDMA device behind $interface, by which packets to ${option[dest]} leave;" \
      "RDMA ports here:$(links). Mend the route, make a device (rdma link add), or name one with --device"
  say "$port"
}

# links: the ports that there are.
links() {
  local path text=
  for path in /sys/class/infiniband/*/ports/*; do text+=" $(cut -d / -f 5,7 <<<"$path")"; done
  say "${text:- none}"
}

load_driver() {
  [[ ! -d /sys/module/ib_srp ]] || return 0
  modprobe ib_srp cmd_sg_entries=255 ||
    die 5 "the kernel's driver ib_srp cannot be loaded: is it in $(uname -r)? (modinfo ib_srp)"
}

# The port has no GUID that tells this host from others: gid 0 ends in zeros, as over iWARP.
is_anonymous() {
  local gid=/sys/class/infiniband/${1%/*}/ports/${1#*/}/gids/0
  [[ -e $gid && $(<"$gid") == *:0000:0000:0000:0000 ]]
}

no_ext=0000000000000000

# default_ext PORT: the initiator_ext of a login that names none. Where one is needed it is different for each host and
# port, and the same after a reboot. machine-id(5) wants its id to be shown to nobody.
default_ext() {
  local id
  is_anonymous "$1" || { say "$no_ext" && return; }
  id=$(cat /etc/machine-id 2>/dev/null) || id=$(uname -n)
  printf 'srp-login %s %s' "$id" "$1" | sha256sum | cut -c 1-16
}
