# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# A cable between two RDMA devices, which loses everything for a while. (What a device sends to its own address goes
# through no cable: soft RoCE hands it to itself.)

# A cut that lasts less than the patience of the target, which gives nobody up.
case_cable_out() {
  local host disk
  cable_up
  serve
  attach 1 src="$far"
  load_start "$disk"
  cable_cut
  sleep 5
  load_goes_on
  cable_mend
  load_end clean
  # Soft-RoCE of the initiator sometimes ends its queue pair over a packet that it cannot route; ib_srp logs in anew.
  assert_equal 'channels that the target gave up' '' \
    "$(grep 'channel closed: ' "$case_log/tgtd.log" | grep -v 'replaced by a new login')"
  srp_logout "$host"
  tgtd_stop
}

# An initiator that vanishes without a word, while nothing is to be sent: the target finds out by itself, and forgets
# it. When the cable is back the initiator, which has noticed nothing, logs in again as soon as it has something to do.
case_dead_peer() {
  local host disk
  cable_up
  # An RDMA WRITE over iWARP is complete when TCP has taken it. It is TCP then that gives up, usually in 15 minutes.
  echo 6 >/proc/sys/net/ipv4/tcp_retries2
  serve
  attach 1 src="$far"
  verified "$disk" 8
  cable_cut
  wait_for 300 has_sessions 1 0
  assert_match "tgtd's log" 'channel closed: ' "$(<"$case_log/tgtd.log")"
  assert_alive "$tgtd_pid" tgtd
  cable_mend
  echo 5 >"/sys/block/${disk##*/}/device/timeout"
  verified "$disk" 8
  assert_equal sessions 1 "$(sessions 1)"
  srp_logout "$host"
  tgtd_stop
}

# ---- the cable ----

far=192.168.98.2   # the initiator's end

# Two virtual Ethernet interfaces, each with an address and an RDMA device: the target's and the initiator's. Both are
# of this host, so Linux has to be talked out of the short way: what goes from one address to the other leaves by its
# interface, and is local only when it comes in by the other one.
cable_up() {
  ipv4=192.168.98.1
  local end
  initiator=/sys/class/infiniband_srp/srp-${provider}2-1
  [[ ! -e $initiator ]] || return 0
  modprobe sch_netem
  ip link add cable1 mtu 4200 type veth peer name cable2 mtu 4200
  for end in 1 2; do
    echo 0 >/proc/sys/net/ipv4/conf/cable$end/rp_filter
    echo 1 >/proc/sys/net/ipv4/conf/cable$end/accept_local
    ip link set cable$end up
    ip addr add 192.168.98.$end/32 dev cable$end
    ip route add 192.168.98.$((3 - end)) dev cable$end table $((1000 + end))
    ip rule add pref 10 iif cable$end lookup local
    rdma link add "$provider$end" type "$provider" netdev cable$end
  done
  ip rule add pref 20 from "$ipv4" to "$far" lookup 1001
  ip rule add pref 20 from "$far" to "$ipv4" lookup 1002
  ip rule add pref 100 lookup local
  ip rule del pref 0
  wait_for 20 test -e "$initiator/add_target"
}

cable_cut() {
  tc qdisc add dev cable1 root netem loss 100%
  tc qdisc add dev cable2 root netem loss 100%
}

cable_mend() {
  tc qdisc del dev cable1 root
  tc qdisc del dev cable2 root
}
