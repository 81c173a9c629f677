# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# What is written is what is read: a file system, checksummed blocks, and the largest commands.

# The checksums are compared after a new login, so nothing comes from the page cache.
case_ext4() {
  local host disk
  serve 192
  mkdir tree
  attach
  mkfs.ext4 -q "$disk"
  mount "$disk" tree
  fill tree
  (cd tree && find . -type f -exec sha256sum {} + >../sums)
  umount tree
  e2fsck -f -n "$disk"
  srp_logout "$host"
  attach
  e2fsck -f -n "$disk"
  mount -o ro "$disk" tree
  (cd tree && sha256sum --quiet -c ../sums)
  note "$(wc -l <sums) files, $(du -sm tree | cut -f 1) MiB"
  umount tree
  srp_logout "$host"
  tgtd_stop
}

# One large file, some of middle size, and many small ones.
fill() {
  local i
  head -c 40M /dev/urandom >"$1/large"
  for i in $(seq 8); do head -c 1M /dev/urandom >"$1/middle-$i"; done
  mkdir "$1/small"
  for i in $(seq 200); do head -c $((i * 37)) /dev/urandom >"$1/small/$i"; done
}

case_fio_verify() {
  local host disk
  serve 256
  attach
  verified "$disk" 256
  srp_logout "$host"
  tgtd_stop
}

# Receives that all channels share, over logins that end in either way.
case_shared_receives() {
  local host disk round
  printf 'use_srq = true;\nsrpt_srq_size = 600;\n' >srp.conf
  tgtd_start "TGT_SRP_CONF=$PWD/srp.conf"
  target_add 1 ''
  lun_add 1 1 128
  admit 1 ALL
  for round in $(seq 4); do
    attach
    verified "$disk" 8
    ((round % 2)) || srpadm --mode conn --op delete --tid 1 --sid "$(session_of_1)" --cid 1
    srp_logout "$host"
  done
  attach
  verified "$disk" 96
  assert_counted 'Immediate data'
  srp_logout "$host"
  tgtd_stop
}

session_of_1() { number_after Session "$(srpadm --mode conn --op show --tid 1)"; }

# Commands of 16 MiB, written and read as such: dd's buffer is of huge pages, so that few segments describe it, and the
# disk's own counter of requests proves that no layer has cut them.
case_large_commands() {
  local host disk
  echo always >/sys/kernel/mm/transparent_hugepage/enabled
  serve 64
  attach 1 max_sect=32768
  queue_limit_16mib "$disk"
  head -c 64M /dev/urandom >pattern
  dd if=pattern of="$disk" bs=16M oflag=direct iflag=fullblock status=none
  dd if="$disk" of=copy bs=16M iflag=direct status=none
  cmp pattern copy
  assert_equal 'sectors of one request' 32768 "$(largest_request "$disk")"
  echo 0 >/proc/sys/vm/nr_hugepages
  srp_logout "$host"
  tgtd_stop
}

queue_limit_16mib() {
  local queue=/sys/block/${1##*/}/queue
  echo 16384 >"$queue/max_sectors_kb"
  note "queue: max_sectors_kb $(<"$queue/max_sectors_kb"), max_segments $(<"$queue/max_segments")"
}

# The initiator takes 255 segments to a request, so the memory read into must not be scattered: huge pages.
largest_request() {
  echo 1 >/proc/sys/vm/compact_memory
  echo 10 >/proc/sys/vm/nr_hugepages
  sectors_of_a_read "$1" 16M --mem=shmhuge
}

# sectors_of_a_read DISK SIZE [OPTION...]: sectors per request when 64 MiB are read so much at a time, by the counters.
sectors_of_a_read() {
  local before after
  read -r -a before <"/sys/block/${1##*/}/stat"
  fio --name=large --filename="$1" --rw=read --bs="$2" --size=64M --direct=1 --ioengine=psync "${@:3}" >/dev/null
  read -r -a after <"/sys/block/${1##*/}/stat"
  echo $(((after[2] - before[2]) / (after[0] - before[0])))
}
