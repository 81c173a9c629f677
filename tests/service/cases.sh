# shellcheck shell=bash disable=SC2034,SC2154  # lib.sh sets and uses the variables
# Life of the service, in the order in which they run. Each begins with the unit as at boot, and nobody logged in.

# The machine has booted without an RDMA device: the service is up, both drivers are, and the targets are there.
case_boot_without_rdma() {
  assert_equal 'state of the unit' active "$(property ActiveState)"
  assert_match 'drop-ins' '/tgt\.service\.d/srp\.conf' "$(property DropInPaths)"
  assert_equal 'limit on locked memory' infinity "$(property LimitMEMLOCK)"
  assert_match 'order' 'rdma-hw\.target' "$(property After)"
  driver_is srp ready
  assert_equal targets "$iqn srp.example:a srp.example:b" \
    "$(tgtadm --mode target --op show | sed -n 's/^Target [0-9]*: //p' | sort | xargs)"
  assert_match portals 'not listening' "$(srpadm --mode portal --op show)"
  assert_fails compgen -G '/sys/class/infiniband/*'
}

# A login that is kept waits for its device, and the boot does not: multi-user.target is reached. It is made once the
# device appears, which tgtd, started before it, serves too; and it is not ended while its disk is in use.
case_login_at_boot() {
  local login disk host pid
  pid=$(property MainPID)
  login=$(kept_login)
  assert_equal 'login without a device' activating "$(systemctl show -P ActiveState "$login")"
  initiator_driver cmd_sg_entries=255   # not under the login, which may come at any time once there is a device
  rdma_up
  wait_for 180 systemctl --quiet is-active "$login"
  assert_equal "tgtd's process" "$pid" "$(property MainPID)"
  host=$(srp_hosts)
  disk=$(disk_of "$host" 1)
  assert_match 'list' "^host$host .* 192\.168\.99\.1:5000 .* yes +${disk#/dev/} " "$(srp-login list)"
  mkfs.ext4 -q -L kept "$disk"
  echo 'LABEL=kept /srv ext4 _netdev 0 0' >>/etc/fstab
  systemctl daemon-reload
  systemctl start srv.mount
  date >/srv/date
  systemctl stop "$login"
  assert_equal 'login while the disk is mounted' failed "$(systemctl show -P ActiveState "$login")"
  assert_equal 'session while the disk is mounted' "$host" "$(srp_hosts)"
  systemctl start "$login"
  # As at the end of all: the targets order the two.
  systemctl stop srv.mount remote-fs.target remote-fs-pre.target "$login"
  assert_equal 'result of the log-out' inactive "$(systemctl show -P ActiveState "$login")"
  assert_equal 'sessions after it' '' "$(srp_hosts)"
  systemctl start "$login"
  disk_of "$(srp_hosts)" 1
  udevadm settle
  systemctl start srv.mount
  [[ -s /srv/date ]] || fail "the file is gone"
  systemctl stop srv.mount
  srp-login disable "${login:10:-8}"
  assert_equal 'login that is not kept' disabled "$(systemctl is-enabled "$login" || true)"
  srp-login logout --all
  rdma_down
}

# The device appears, once more; nobody restarts anything.
case_late_device() {
  local pid
  pid=$(property MainPID)
  rdma_up
  srp_in a
  verified "$disk" 8
  srp_logout "$host"
  assert_equal "tgtd's process" "$pid" "$(property MainPID)"
}

case_both_protocols_at_once() {
  all_in
  loads_start 32 "${disks[@]}"
  loads_end
  all_out
}

# Targets in use are left alone, others come and go.
case_reload_under_load() {
  local pid
  pid=$(property MainPID)
  all_in
  loads_start 32 "${disks[@]}"
  target_file d /var/lib/disks/d
  service reload
  tid srp.example:d
  srp_in d
  verified "$disk" 4
  srp_logout "$host"
  rm /etc/tgt/conf.d/d.conf
  wait_for 20 has_sessions "$(tid srp.example:d)" 0
  service reload
  assert_fails tid srp.example:d
  loads_end
  assert_equal "tgtd's process" "$pid" "$(property MainPID)"
  all_out
}

# The same package once more, as an upgrade would: the daemon and its sessions stay.
case_upgrade_under_load() {
  local pid told
  pid=$(property MainPID)
  all_in
  loads_start 32 "${disks[@]}"
  told=$(dpkg -i "$package")
  assert_match 'what dpkg says' 'when you are ready: systemctl restart tgt' "$told"
  loads_end
  assert_equal "tgtd's process" "$pid" "$(property MainPID)"
  all_out
}

case_restart_under_load() {
  local pid host
  pid=$(property MainPID)
  all_in
  mark
  loads_start 48 "${srp_disks[@]}"
  service restart
  [[ $(property MainPID) != "$pid" ]] || fail "it is the same process"
  assert_unmatched "the unit's journal" 'SIGKILL|timed out|Failed with' "$(said)"
  for host in "${hosts[@]}"; do wait_for 120 is_running "$host"; done
  loads_end
  all_out
}

# assert_told: the initiator was told that its sessions ended; it did not have to find out.
assert_told() {
  local host
  for host in "${hosts[@]}"; do
    assert_match "the kernel's log" "scsi host$host: ib_srp: (received DREQ|DREQ received)" "$(kernel_said)"
  done
}

# stop_under_load: and start again, since a load that waits must not have lost anything.
stop_under_load() {
  all_in
  loads_start 48 "${srp_disks[@]}"
  mark
  service stop
  assert_ended_well
  assert_told
  loads_go_on
  service start
  loads_end
  all_out
}

case_stop_under_load() { stop_under_load; }

# Reads that take three seconds are with the store when the service is told to stop: they are waited for.
case_stop_with_a_slow_store() {
  local device
  rdma_up
  modprobe dm_delay
  device=$(losetup --find --show /var/lib/disks/d)
  dmsetup create slow --table "0 32768 delay $device 0 0"
  target_file d /dev/mapper/slow
  service reload
  srp_in d
  impatient "$host"   # this target does not come back
  dmsetup load slow --table "0 32768 delay $device 0 3000"
  dmsetup resume slow
  fio --name=slow --filename="$disk" --direct=1 --ioengine=libaio --iodepth=16 --rw=randread --time_based --runtime=99 \
    >"$case_log/load.log" 2>&1 &
  sleep 2
  mark
  service stop
  assert_ended_well
  rm /etc/tgt/conf.d/d.conf
}

# All of contrib/demo with what the package has brought, beside the service.
case_demo_from_the_package() {
  rdma_up
  "$here/../../contrib/demo" --installed | tee demo
  assert_match 'the demo' '^== All is the same: ' "$(<demo)"
  assert_match 'the demo' '^The demo has worked' "$(<demo)"
}

# The example of a sandbox, as it is.
case_hardened() {
  mkdir -p "$drop_ins"
  cp /usr/share/doc/tgt-srp/examples/hardened.conf "$drop_ins/"
  systemctl daemon-reload
  service restart
  assert_equal 'no new privileges' yes "$(property NoNewPrivileges)"
  assert_equal capabilities 0000000000000000 "$(awk '/^CapEff:/ {print $2}' "/proc/$(property MainPID)/status")"
  assert_equal 'limit on open files' 1048576 "$(awk '/^Max open files/ {print $4}' "/proc/$(property MainPID)/limits")"
  driver_is srp ready
  stop_under_load
}

# The unit that tgt itself brings, which is sandboxed a little, and forks.
case_upstream_unit() {
  service stop
  unit=tgtd
  cp "$here/tgtd.service" /etc/systemd/system/
  systemctl daemon-reload
  service start
  assert_match 'drop-ins' '/tgtd\.service\.d/srp\.conf' "$(property DropInPaths)"
  stop_under_load
  service stop
}

# The daemon keeps what it has loaded; the next one serves iSCSI as if nothing had been.
case_purged() {
  local told
  rdma_up
  srp_in a
  told=$(dpkg --purge tgt-srp)
  assert_match 'what dpkg says' '/etc/tgt/conf\.d/targets\.conf' "$told"
  assert_match 'what dpkg says' 'serves SRP until it ends' "$told"
  assert_fails test -e /usr/lib/tgt/backing-store/lld_srp.so
  assert_fails test -e /etc/tgt/srp.conf
  verified "$disk" 8
  srp_logout "$host"
  sed -i '/^<target srp/,/^<.target/d' /etc/tgt/conf.d/targets.conf
  service restart
  assert_equal 'drop-ins' '' "$(property DropInPaths)"
  assert_unmatched drivers srp "$(tgtadm --mode lld --op show)"
  iscsi_in
  verified "$disk" 8
}
