# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# What the initiator can be told: module parameters and options of a login that change what it puts on the wire. Each
# case checks that the initiator has taken its parameters, and then every byte of a mixed load.

srp_module=/sys/module/ib_srp/parameters

# works_with MiB [OPTION...]: write and verify so much over a session with these options; then check_mode, a function of
# the case, while the session is there.
works_with() {
  local host disk
  serve 128
  attach 1 "${@:2}"
  verified "$disk" "$1"
  check_mode
  srp_logout "$host"
  tgtd_stop
}

# Linux's own defaults: twelve descriptors in a request at most.
case_initiator_defaults() {
  check_mode() {
    assert_host cmd_sg_entries 12
    assert_host allow_ext_sg false
  }
  initiator_load
  works_with 32
}

# Writes of up to 8 KiB, less the request itself, travel inside the request where the target allows it.
case_immediate_data() {
  # shellcheck disable=SC2034  # verified uses it
  local blocks=512/20:4k/40:7k/10:8k/20:64k/10
  check_mode() {
    assert_match "the initiator's messages" "host$host: ib_srp: using immediate data" "$(dmesg)"
    assert_counted 'Immediate data'
  }
  initiator_load
  dmesg --clear
  works_with 16
}

case_no_immediate_data() {
  check_mode() {
    assert_equal use_imm_data N "$(<$srp_module/use_imm_data)"
    ! dmesg | grep -q "host$host: ib_srp: using immediate data" || fail "the initiator has used immediate data"
  }
  dmesg --clear
  initiator_load use_imm_data=N
  works_with 24
}

# One descriptor: the initiator registers what one request transfers as one region.
case_one_descriptor() {
  check_mode() { assert_host cmd_sg_entries 1; }
  works_with 24 cmd_sg_entries=1
}

# Without registration each piece of memory is a descriptor of its own: up to 255 in a request, the most that SRP has
# room for. Small pages, so that there are many pieces.
case_many_descriptors() {
  check_mode() {
    assert_host cmd_sg_entries 255
    assert_equal never_register Y "$(<$srp_module/never_register)"
    assert_counted 'Indirect'
  }
  small_pages
  initiator_load cmd_sg_entries=255 never_register=Y
  works_with 32 max_sect=2048
}

# More pieces than a request has room for: the target has to fetch the table of descriptors. Requests of 8 MiB, in up to
# 2048 pieces; the disk's counters prove their size.
case_external_table() {
  local host disk sectors
  # shellcheck disable=SC2034  # verified uses it
  local blocks=8m/60:1m/20:64k/20
  small_pages
  initiator_load never_register=Y allow_ext_sg=1 indirect_sg_entries=2048
  serve 128
  attach 1 max_sect=16384
  assert_host cmd_sg_entries 12
  assert_host allow_ext_sg true
  echo 8192 >"/sys/block/${disk##*/}/queue/max_sectors_kb"
  assert_equal max_segments 2048 "$(<"/sys/block/${disk##*/}/queue/max_segments")"
  verified "$disk" 64 --iodepth=4
  sectors=$(sectors_of_a_read "$disk" 8M --mem=malloc)
  # Pieces of the page allocator are of 4 MiB at most: 12 of them cannot be 8 MiB, unless neighbours happen to follow
  # one another. A request this large in small pages has hundreds.
  assert_equal 'sectors of one request' 16384 "$sectors"
  assert_counted 'External tables'
  srp_logout "$host"
  tgtd_stop
}

# The same with nothing in the request itself but one descriptor, so that nearly every request needs its table.
case_external_table_only() {
  check_mode() {
    assert_host cmd_sg_entries 1
    assert_host allow_ext_sg true
    assert_counted 'External tables'
  }
  small_pages
  initiator_load cmd_sg_entries=1 never_register=Y allow_ext_sg=1 indirect_sg_entries=255
  works_with 24
}

case_one_channel() {
  check_mode() { assert_channels 1; }
  works_with 24 ch_count=1
}

# More channels than the guest has CPUs: Linux opens all of them and uses as many as it has CPUs.
case_four_channels() {
  check_mode() { assert_channels 4; }
  works_with 24 ch_count=4
}

# A queue deeper than the target's request limit is cut to it, and as deep as asked for where the target allows more.
case_deep_queue() {
  local host disk limit
  serve
  attach 1 queue_size=512
  limit=$(<"/sys/class/scsi_host/host$host/req_lim")
  ((limit < 512)) || fail "the request limit is $limit already by default"
  assert_host can_queue $((limit - 1))
  verified "$disk" 16 --iodepth=400
  assert_host req_lim "$limit"
  srp_logout "$host"
  tgtd_stop
  echo 'credits = 600;' >/etc/tgt/srp.conf
  serve
  attach 1 queue_size=512
  assert_host can_queue 512
  verified "$disk" 32 --iodepth=400
  assert_host req_lim 600
  srp_logout "$host"
  tgtd_stop
}

# Memory for I/O in pages of 4 KiB, so that large requests are in many pieces.
small_pages() {
  echo never >/sys/kernel/mm/transparent_hugepage/enabled
}

assert_channels() {
  assert_host ch_count "$1"
  assert_equal 'channels of the session' "$1" "$(srpadm --mode conn --op show --tid 1 | grep -c '^ *Connection: ')"
}
