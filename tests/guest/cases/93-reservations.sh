# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# Persistent reservations: a cluster of two nodes, two initiator ports of this host.

case_cluster() {
  local -a hosts disks
  local number
  serve
  for number in 1 2; do node_up "$number"; done

  pr 1 --out --register --param-sark=0x1
  pr 2 --out --register --param-sark=0x2
  pr 1 --out --reserve --param-rk=0x1 --prout-type=5   # write exclusive, registrants only
  assert_match 'holder' 'Key=0x1' "$(pr 2 --in --read-reservation)"
  writes 1
  writes 2

  # A node that comes back is still what it was.
  node_down 1
  node_up 1
  writes 1
  pr 1 --out --release --param-rk=0x1 --prout-type=5
  pr 1 --out --reserve --param-rk=0x1 --prout-type=1   # write exclusive: the other node is shut out
  refused_write 2
  node_down 1
  node_up 1
  writes 1
  refused_write 2
  srpadm --mode conn --op delete --tid 1 --sid "$(session_of 1)" --cid 1
  wait_for 60 has_sessions 1 2
  writes 1
  refused_write 2

  # The survivor takes over.
  pr 2 --out --preempt --param-rk=0x2 --param-sark=0x1 --prout-type=1
  writes 2
  refused_write 1
  assert_match 'keys' '0x2' "$(pr 2 --in --read-keys)"

  # And hands over to a named initiator port: REGISTER AND MOVE.
  pr 1 --out --register --param-sark=0x1
  pr 2 --out --register-move --param-rk=0x2 --param-sark=0x1 --prout-type=1 --relative-target-port=1 \
    --transport-id="$(transport_id "$(port_id_with 0000000000000001)")"
  assert_match 'holder, moved' 'Key=0x1' "$(pr 1 --in --read-reservation)"
  writes 1
  refused_write 2

  pr 1 --out --clear --param-rk=0x1
  assert_match 'keys, cleared' 'NO registered reservation keys' "$(pr 2 --in --read-keys)"
  writes 2
  node_down 1
  node_down 2
  tgtd_stop
}

# ---- nodes ----

node_up() {
  local host disk
  attach 1 initiator_ext="000000000000000$1"
  hosts[$1]=$host disks[$1]=$disk
}

node_down() {
  srp_logout "${hosts[$1]}"
}

# Unit attentions are taken note of, as a cluster's software does: tgtd tells all nexuses of a preemption.
pr() {
  local said try
  for try in {1..8}; do
    said=$(sg_persist --no-inquiry "${@:2}" "${disks[$1]}" 2>&1) && break
    [[ $said == *'Unit attention'* && $try -lt 8 ]] || fail "node $1: sg_persist ${*:2}: $said"
  done
  echo "$said"
}

# SPC's TransportID of an SRP port, as bytes with commas: format 0, protocol 4, the identifier from byte 8 on.
transport_id() { echo "4,0,0,0,0,0,0,0$(sed 's/^0x//; s/../,&/g' <<<"$1")"; }

session_of() {
  srpadm --mode conn --op show --tid 1 | grep -B1 -i "Initiator: $(port_id_with "000000000000000$1")" |
    sed -n 's/^Session: //p' | head -n 1
}

write_to() { dd if=/dev/zero of="${disks[$1]}" bs=4k count=1 oflag=direct conv=notrunc; }
writes() { write_to "$1" || fail "node $1 cannot write"; }
refused_write() { ! write_to "$1" 2>/dev/null || fail "node $1 writes against the reservation"; }
