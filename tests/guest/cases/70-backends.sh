# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# tgtd's stores and types of devices: what each gives back, and what is refused.

# unit_add LUN OPTION...: of target 1.
unit_add() { srpadm --mode logicalunit --op new --tid 1 --lun "$1" "${@:2}"; }
unit_delete() { srpadm --mode logicalunit --op delete --tid 1 --lun "$1"; }

# serve_unit OPTION...: target 1 with this unit as LUN 1.
serve_unit() {
  tgtd_start
  target_add 1 ""
  unit_add 1 "$@"
  admit 1 ALL
}

# node_of HOST LUN CLASS: the device node that a driver of this host has made for a unit: scsi_generic, block or
# scsi_tape (the one that does not rewind).
node_of() {
  local pattern="/sys/class/scsi_device/$1:0:0:$2/device/$3/*"
  [[ $3 != scsi_tape ]] || pattern="${pattern%\*}nst?"
  wait_for 30 compgen -G "$pattern" >/dev/null
  compgen -G "$pattern" | head -n 1 | sed 's,.*/,/dev/,'
}

# attach_unit CLASS: log in; sets $host and $node, the one of LUN 1.
attach_unit() {
  host=$(srp_login "$(login_string 1)")
  node=$(node_of "$host" 1 "$1")
  patient "$host"
}

# raw NODE CDB [OPTION...]: a command as it stands; what sg_raw says of it, and its status.
# shellcheck disable=SC2086  # a CDB is words
raw() { timeout 60 sg_raw "${@:3}" "$1" $2 2>&1; }

# Takes what a unit has to say before its first command.
attend() { raw "$1" '00 00 00 00 00 00' || true; }

# refuses SENSE NODE CDB [OPTION...]: the command must end with this sense.
refuses() {
  local said
  said=$(raw "${@:2}") && fail "accepted: $3"
  assert_match "the sense of $3" "$1" "$said"
}

# local_disk [PARAMETER...]: a SCSI disk of this host's, in memory. Sets $backing and $backing_sg.
local_disk() {
  local device
  modprobe -r scsi_debug 2>/dev/null || true
  modprobe scsi_debug dev_size_mb=64 "$@"
  wait_for 30 has_local_disk
  device=$(local_disk_in_sysfs)
  backing=$(node_of "$(local_host)" 0 block)
  backing_sg=$(node_of "$(local_host)" 0 scsi_generic)
  note "the disk behind: $backing, $backing_sg, queue depth $(<"$device/queue_depth")"
}
local_host() { grep -l '^scsi_debug$' /sys/class/scsi_host/host*/proc_name | sed 's,.*/host\([0-9]*\)/.*,\1,'; }
local_disk_in_sysfs() { echo "/sys/class/scsi_device/$(local_host):0:0:0/device"; }
has_local_disk() { compgen -G "$(local_disk_in_sysfs)/block/*" >/dev/null; }

# ---- disks ----

case_direct_rdwr() { stores_on_a_disk --bstype rdwr --bsoflags direct; }
case_aio() { stores_on_a_disk --bstype aio; }

# What is written over SRP is what lies on the disk behind, and the other way round.
stores_on_a_disk() {
  local host disk
  local_disk
  serve_unit -b "$backing" "$@"
  attach
  verified "$disk" 16
  head -c 8M /dev/urandom >pattern
  dd if=pattern of="$disk" bs=1M oflag=direct status=none
  dd if="$backing" bs=1M count=8 iflag=direct status=none | cmp pattern -
  dd if=pattern of="$backing" bs=1M seek=20 oflag=direct status=none
  dd if="$disk" bs=1M skip=20 count=8 iflag=direct status=none | cmp pattern -
  srp_logout "$host"
  tgtd_stop
  modprobe -r scsi_debug
}

# The null store moves nothing: who reads gets zeros, not what the target's memory held before.
case_null() {
  local host disk
  serve 64
  unit_add 2 --bstype null -b nothing
  attach
  head -c 16M /dev/urandom >pattern
  dd if=pattern of="$disk" bs=1M oflag=direct status=none
  disk=$(disk_of "$host" 2)
  dd if=pattern of="$disk" bs=1M oflag=direct status=none
  dd if="$disk" bs=1M count=16 iflag=direct status=none | cmp -n $((16 << 20)) - /dev/zero
  srp_logout "$host"
  tgtd_stop
}

# ---- pass-through ----

pass_through() { serve_unit --bstype sg --device-type pt -b "$backing_sg"; }

# The disk itself is seen, not tgtd's. More commands than sg takes at a time are a matter of waiting.
case_pass_through() {
  local host disk
  local_disk delay=0
  pass_through
  attach
  assert_match 'the vendor seen' 'scsi_debug' "$(sg_inq "$disk")"
  assert_equal 'size' $((64 << 20)) "$(blockdev --getsize64 "$disk")"
  verified "$disk" 32
  head -c 8M /dev/urandom >pattern
  dd if=pattern of="$disk" bs=1M oflag=direct status=none
  dd if="$backing" bs=1M count=8 iflag=direct status=none | cmp pattern -
  assert_equal 'commands that sg refused' 0 "$(grep -c 'failed to start cmd' "$case_log/tgtd.log" || true)"
  srp_logout "$host"
  tgtd_stop
  modprobe -r scsi_debug
}

# Status, sense and lengths are the device's; what concerns more than the unit does not reach it.
case_pass_through_answers() {
  local host node
  local_disk delay=0 opts=2 medium_error_start=4660 medium_error_count=1
  pass_through
  attach_unit scsi_generic
  raw "$node" '28 00 00 00 00 00 00 00 01 00' -r 512
  refuses 'Medium Error' "$node" '28 00 00 00 12 34 00 00 01 00' -r 512
  refuses 'Logical block address out of range' "$node" '28 00 ff ff ff 00 00 00 01 00' -r 512
  assert_match 'a short answer' 'Received 96 bytes' "$(raw "$node" '12 00 00 01 00 00' -r 256 | tee /dev/stderr)"
  refuses 'Invalid command operation code' "$node" '5e 00 00 00 00 00 00 00 08 00' -r 8
  refuses 'Invalid command operation code' "$node" '16 00 00 00 00 00'
  refuses 'Invalid command operation code' "$node" 'a0 00 00 00 00 00 00 00 00 10 00 00' -r 16
  sg_luns "/dev/$(basename "$(echo "/sys/class/scsi_device/$host:0:0:0/device/scsi_generic"/*)")"
  srp_logout "$host"
  tgtd_stop
  modprobe -r scsi_debug
}

# A unit whose device still works on a command cannot be deleted, and the command ends as ever.
case_pass_through_deleted() {
  local host node reader text
  local_disk delay=0
  pass_through
  attach_unit scsi_generic
  echo 2500 >/sys/bus/pseudo/drivers/scsi_debug/delay   # jiffies of 4 ms
  raw "$node" '28 00 00 00 00 00 00 00 08 00' -r 4096 >reader.log &
  reader=$!
  wait_for 30 reads_on
  assert_fails unit_delete 1
  assert_fails srpadm --mode target --op delete --force --tid 1
  wait "$reader" || fail "the command fails: $(<reader.log)"
  # Its initiator gone, the command still holds the unit until the device gives it back.
  raw "$node" '28 00 00 00 00 00 00 00 08 00' -r 4096 >reader.log &
  wait_for 30 reads_on
  srpadm --mode conn --op delete --tid 1 --sid "$(session_of_1)" --cid 1
  assert_fails unit_delete 1
  wait_for 30 unit_delete 1
  text=$(srpadm --mode target --op show)
  [[ $text != *$backing_sg* ]] || fail 'the unit is still shown'
  srp_logout "$host"
  tgtd_stop
  modprobe -r scsi_debug
}

# The local disk has something of the initiator's to do: its counter of requests that are not done.
reads_on() {
  local done_ requests
  requests=$(<"$(local_disk_in_sysfs)/iorequest_cnt") done_=$(<"$(local_disk_in_sysfs)/iodone_cnt")
  ((requests > done_))
}

# The disk behind disappears: its commands fail, tgtd goes on and does not fill the log.
case_pass_through_gone() {
  local host node before
  local_disk
  pass_through
  attach_unit scsi_generic
  attend "$node"
  echo 1 >"$(local_disk_in_sysfs)/delete"
  wait_for 30 grep -q 'its device is gone' "$case_log/tgtd.log"
  before=$(wc -l <"$case_log/tgtd.log")
  sleep 2
  assert_equal 'lines in the log of an idle tgtd' "$before" "$(wc -l <"$case_log/tgtd.log")"
  assert_fails raw "$node" '28 00 00 00 00 00 00 00 01 00' -r 512
  unit_delete 1
  srp_logout "$host"
  tgtd_stop
  modprobe -r scsi_debug
}

# The host adapter loses a command: that must not pass for success. Only newer kernels' scsi_debug can do that.
case_pass_through_lost() {
  local host node errors said status=0
  mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
  local_disk
  errors=/sys/kernel/debug/scsi_debug/$(local_host):0:0:0/error
  [[ -e $errors ]] || { note "this kernel's scsi_debug cannot lose commands"; return 0; }
  pass_through
  attach_unit scsi_generic
  attend "$node"
  # Type 2: complete it; each time, for READ(10): host byte DID_ERROR, no status, no sense.
  echo '2 -1000 0x28 0x7 0 0 0 0 0' >"$errors"
  said=$(raw "$node" '28 00 00 00 00 00 00 00 01 00' -r 512) || status=$?
  echo "- 2 0x28" >"$errors"
  echo "$said"
  ((status)) || fail "a lost command counts as done: $said"
  assert_match 'the sense of a lost command' 'communication failure' "$said"
  raw "$node" '28 00 00 00 00 00 00 00 01 00' -r 512 -o block
  srp_logout "$host"
  tgtd_stop
  modprobe -r scsi_debug
}

# Linux has taken away what tgtd would need of bsg: tgtd refuses the unit itself.
case_bsg() {
  local_disk
  tgtd_start
  target_add 1
  assert_fails unit_add 1 --bstype bsg --device-type pt -b "/dev/bsg/$(local_host):0:0:0"
  assert_alive "$tgtd_pid" tgtd
  tgtd_stop
  modprobe -r scsi_debug
}

# ---- tape ----

# tape_image FILE: a tape of 100 MB, empty.
tape_image() { tgtimg --op new --device-type tape --barcode "${1^^}" --size 100 --type data --file "$1"; }

# set_block SG BYTES: MODE SELECT with a block descriptor.
set_block() {
  local hex
  hex=$(printf '%06x' "$2")
  printf '%b' '\x00\x00\x10\x08\x00\x00\x00\x00\x00' "\\x${hex:0:2}\\x${hex:2:2}\\x${hex:4:2}" >mode
  raw "$1" '15 10 00 00 0c 00' -s 12 -i mode
}

serve_tape() {
  tape_image tape
  serve_unit --bstype ssc --device-type tape -b "$PWD/tape"
  modprobe st
  attach_unit scsi_tape
  generic=$(node_of "$host" 1 scsi_generic)
}

# Three files of records of different lengths, or of fixed blocks; each is read back as it was written, after a log-out.
case_tape() {
  local host node generic size
  serve_tape
  head -c 6M /dev/urandom >pattern
  mt -f "$node" rewind
  for size in 10240 512 65536; do
    dd if=pattern of="$node" bs="$size" count=40 status=none
  done
  srp_logout "$host"
  attach_unit scsi_tape
  mt -f "$node" rewind
  for size in 10240 512 65536; do
    # The room is larger than the records: each ends with less data than was asked for.
    dd if="$node" of=copy bs=131072 status=none
    assert_equal "length of the file of records of $size" $((40 * size)) "$(stat -c %s copy)"
    cmp -n $((40 * size)) pattern copy
  done
  mt -f "$node" bsf 2
  mt -f "$node" fsf 1
  dd if="$node" of=copy bs=65536 status=none
  cmp -n $((40 * 65536)) pattern copy
  srp_logout "$host"
  tgtd_stop
}

case_tape_fixed() {
  local host node generic
  serve_tape
  head -c 6M /dev/urandom >pattern
  mt -f "$node" rewind
  set_block "$generic" 2048
  dd if=pattern of="$node" bs=256k count=8 status=none
  mt -f "$node" rewind
  dd if="$node" of=copy bs=96k status=none   # not a divisor: the last transfer meets the filemark
  assert_equal 'bytes read' $((8 * 256 << 10)) "$(stat -c %s copy)"
  cmp -n $((8 * 256 << 10)) pattern copy
  srp_logout "$host"
  tgtd_stop
}

# What stock tgtd would write over the end of its buffer, or take for a block length.
case_tape_hostile() {
  local host node generic said
  serve_tape
  mt -f "$node" rewind
  set_block "$generic" 4096
  head -c 256K /dev/urandom >pattern
  raw "$generic" '0a 01 00 00 40 00' -s 262144 -i pattern
  refuses 'Invalid field in' "$generic" '0a 01 00 00 40 00' -s 512 -i pattern
  refuses 'Invalid field in cdb' "$generic" '08 01 ff ff ff 00' -r 512
  raw "$generic" '01 00 00 00 00 00'
  raw "$generic" '08 01 00 00 40 00' -r 4096 -o copy   # 256 KiB into 4 KiB
  cmp -n 4096 pattern copy
  said=$(set_block "$generic" $((2 << 20))) && fail 'a block length of 2 MiB is accepted'
  assert_match 'the sense of MODE SELECT' 'Invalid field in parameter list' "$said"
  set_block "$generic" 0
  refuses 'Invalid field in cdb' "$generic" '08 01 00 00 01 00' -r 4096
  assert_match 'READ BLOCK LIMITS' 'Received 6 bytes' "$(raw "$generic" '05 00 00 00 00 00' -r 512)"
  raw "$generic" '34 00 00 00 00 00 00 00 00 00' -r 512
  assert_alive "$tgtd_pid" tgtd
  srp_logout "$host"
  tgtd_stop
}

# ---- changer, DVD ----

# library: LUN 1 is a drive, LUN 2 a changer with four slots, of which the first two hold tapes.
library() {
  local slot set=(--params)
  mkdir media
  (cd media && tape_image A00001 && tape_image A00002)
  touch changer
  serve_unit --device-type tape --bstype ssc -b "$PWD/media/A00001"
  set=(srpadm --mode logicalunit --op update --tid 1)
  "${set[@]}" --lun 1 --params online=0
  unit_add 2 --device-type changer -b "$PWD/changer"
  set+=(--lun 2 --params)
  "${set[@]}" "media_home=$PWD/media"
  "${set[@]}" element_type=4,start_address=1,quantity=1
  "${set[@]}" element_type=4,address=1,tid=1,lun=1
  "${set[@]}" element_type=1,start_address=16,quantity=1
  "${set[@]}" element_type=2,start_address=1024,quantity=4
  for slot in 1 2; do
    "${set[@]}" "element_type=2,address=$((1023 + slot)),barcode=A0000$slot,sides=1"
  done
}

# A tape is taken from its slot to the drive, written, and put back; the other one is another tape.
case_changer() {
  local host node changer
  library
  modprobe st
  attach_unit scsi_generic
  changer=$(node_of "$host" 2 scsi_generic)
  attend "$changer"
  raw "$changer" 'b8 12 04 00 00 ff 00 00 10 00 00 00' -r 4096 -o slots
  assert_match 'barcodes of the slots' 'A00001.*A00002' "$(tr -c '[:print:]' . <slots)"
  refuses 'Invalid field in cdb' "$changer" 'b8 00 00 00 00 ff 00 00 10 00 00 00' -r 4096
  raw "$changer" 'a5 00 00 10 04 00 00 01 00 00 00 00'
  refuses 'Medium source element empty' "$changer" 'a5 00 00 10 04 00 00 01 00 00 00 00'
  node=$(node_of "$host" 1 scsi_tape)
  head -c 1M /dev/urandom >pattern
  mt -f "$node" rewind
  dd if=pattern of="$node" bs=32k status=none
  mt -f "$node" rewind
  raw "$changer" 'a5 00 00 10 00 01 04 00 00 00 00 00'
  raw "$changer" 'a5 00 00 10 04 01 00 01 00 00 00 00'
  # Nothing was ever written to this one: Linux calls reading it an error.
  assert_equal 'bytes on the other tape' 0 "$({ dd if="$node" bs=32k count=4 status=none || true; } | wc -c)"
  assert_fails dd if="$node" of=copy bs=32k count=1 status=none
  raw "$changer" 'a5 00 00 10 00 01 04 01 00 00 00 00'
  raw "$changer" 'a5 00 00 10 04 00 00 01 00 00 00 00'
  dd if="$node" bs=32k status=none | cmp pattern -
  srp_logout "$host"
  tgtd_stop
}

case_cd() {
  local host node generic
  head -c 6M /dev/urandom >image
  serve_unit --device-type cd -b "$PWD/image"
  modprobe sr_mod
  attach_unit block
  assert_equal 'size' $((6 << 20)) "$(blockdev --getsize64 "$node")"
  dd if="$node" bs=256k status=none | cmp image -
  dd if="$node" bs=2048 skip=1000 count=700 iflag=direct status=none | cmp -n $((700 * 2048)) -i 0:2048000 - image
  generic=$(node_of "$host" 1 scsi_generic)
  refuses 'Logical block address out of range' "$generic" '28 00 00 00 0b ff 00 00 02 00' -r 4096
  assert_match 'the last block' '00 00 0b ff 00 00 08 00' "$(raw "$generic" '25 00 00 00 00 00 00 00 00 00' -r 8)"
  srp_logout "$host"
  tgtd_stop
}
