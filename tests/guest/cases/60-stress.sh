# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# Everything that disturbs a session, at random, while data is written and verified; tests/guest/stress runs it for
# long. No block may be lost, no credit, no memory and no descriptor.

case_stress() {
  local seed=${stress_seed:-1} end=$((SECONDS + ${stress_seconds:-75}))
  local host disk round=0 rss files warm_up=3
  note "the seed is $seed"
  RANDOM=$seed
  stalling_store
  serve_stalling
  while ((round <= warm_up || SECONDS < end)); do
    "round_of_${kinds_of_rounds[round % ${#kinds_of_rounds[@]}]}" $((round % 2 == 0 ? 4 : 1)) $((seed + round))
    round=$((round + 1))
    ((round != warm_up)) || { rss=$(memory_kib) files=$(open_files); }
  done
  note "$round rounds; tgtd after $warm_up: $rss KiB, $files files; at the end: $(memory_kib) KiB, $(open_files) files"
  assert_equal "open files, as after $warm_up rounds" "$files" "$(open_files)"
  # A round makes five channels or more, of 2.3 MiB each; what tgtd's threads fragment is less than one.
  (($(memory_kib) - rss <= 2048)) || fail "memory grows: $rss KiB after $warm_up rounds, now $(memory_kib) KiB"
  tgtd_stop
}

# ---- rounds ----

# Linux's ib_srp makes its host panic where it reconnects while an abort waits (seen with 6.1; 6.12 has the same code):
# srp_abort gives back memory registrations that the reconnect has freed. It has to be spared that: a round has either
# aborts or reconnects, or the initiator registers no memory.
kinds_of_rounds=(reconnects everything aborts)
stall_s=6   # the least time that a stalled store stalls, and the most that the initiator then waits for it

round_of_reconnects() {
  local patience_s=60
  local -a ways=(reset_unit reset_host delete_session delete_session)
  initiator_load cmd_sg_entries=255
  one_round "$@"
}

round_of_aborts() {
  local patience_s=$stall_s
  local -a ways=(reset_unit stall stall stall_and_reset)
  initiator_load cmd_sg_entries=255
  one_round "$@"
}

round_of_everything() {
  local patience_s=$stall_s
  local -a ways=(reset_unit reset_host delete_session stall stall_and_reset stall_and_delete)
  initiator_load cmd_sg_entries=255 never_register=Y
  one_round "$@"
}

# one_round CHANNELS SEED: log in, disturb a load until it ends, and look whether everything has come back. The seed
# makes each round write something else, so that a block of the last round is not taken for one of this round. A command
# is aborted after the initiator's patience, and fails after six times as much, longer than any two stalls.
one_round() {
  attach 1 ch_count="$1"
  echo "$patience_s" >"/sys/block/${disk##*/}/device/timeout"
  load_start "$disk" --rate=4m,4m --randseed="$2" --iodepth=16
  while kill -0 "$load_pid" 2>/dev/null; do
    disturb
    sleep $((RANDOM % 3 + 1))
  done
  load_end clean
  wait_for 60 is_running "$host"
  assert_alive "$tgtd_pid" tgtd
  wait_for 30 credits_are_home
  srp_logout "$host"
  wait_for 30 has_sessions 1 0
}

disturb() {
  local way=${ways[RANDOM % ${#ways[@]}]}
  echo "$SECONDS s: $way"
  "$way"
}

# It may fail, while the store is stalled or the session away: Linux would then go on to reset the host, unless told not
# to.
reset_unit() { timeout 120 sg_reset -d -N "$disk" || true; }
reset_host() { timeout 120 sg_reset -H -N "$disk" || true; }

# Nothing that tgtd submits ends for a while: the initiator aborts it, and again what it repeats.
stall() {
  dmsetup suspend --noflush --nolockfs stalling
  sleep $((stall_s + RANDOM % stall_s))
  "$@"
  dmsetup resume stalling
}

stall_and_reset() { stall reset_unit; }
stall_and_delete() { stall delete_session; }

# The initiator logs in again at once. There may be no session while it does.
delete_session() {
  local sid
  sid=$(number_after Session "$(srpadm --mode conn --op show --tid 1)")
  [[ -z $sid ]] || srpadm --mode conn --op delete --tid 1 --sid "$sid" --cid 1 || true
}

# All of the request limit is with the initiator, as both sides see it, and nothing is served.
credits_are_home() {
  local granted=128 shown
  shown=$(srpadm --mode conn --op show --tid 1)
  [[ $(<"/sys/class/scsi_host/host$host/req_lim") -eq $granted ]] || return 1
  ! grep 'request limit' <<<"$shown" | grep -qv "request limit $granted: $granted with the initiator, 0 served"
}

# ---- a store that can be stalled ----

# A RAM disk below a device mapper. tgtd has to use it directly, since the page cache would hide the stall.
stalling_store() {
  modprobe brd rd_nr=1 rd_size=$((64 << 10))
  modprobe dm-mod
  DM_DISABLE_UDEV=1 dmsetup create stalling --table "0 $((64 << 11)) linear /dev/ram0 0"
}

# Two extents of data memory, both in use after a few rounds: what grows later is not the pool.
serve_stalling() {
  echo 'buffer_mib = 32;' >/etc/tgt/srp.conf
  tgtd_start
  target_add 1 ""
  srpadm --mode logicalunit --op new --tid 1 --lun 1 -b /dev/mapper/stalling --bsoflags direct
  admit 1 ALL
}
