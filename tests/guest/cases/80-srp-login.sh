# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# The administrator's program at the initiator, contrib/srp-login, as built: what it does, refuses and says.

# says WHAT STATUS PATTERN ARGUMENT...: the program ends with this status, and a line of what it prints matches.
says() {
  local status=0 text
  text=$(timeout 120 "$checkout/build/contrib/srp-login" "${@:4}" 2>&1) || status=$?
  printf '%s: srp-login %s: status %s\n%s\n' "$1" "${*:4}" "$status" "$text"
  assert_equal "$1: status of srp-login ${*:4}: $text; status" "$2" "$status"
  assert_match "$1: srp-login ${*:4}" "$3" "$text"
}

the_host() { srp_hosts | tail -n 1; }
logged_out() { [[ -z $(srp_hosts) ]]; }

# From nothing to a disk and back: the driver is loaded, the port found, a second login changes nothing, and each kind
# of selector means the session.
case_tool_login() {
  local string selector host disk
  serve 64
  string=$(login_string 1)
  modprobe -r ib_srp
  says 'without the driver' 0 'ib_srp is not loaded' list
  says 'the line as shown' 0 "^logged in: host[0-9]+, $rdma_device/1, sd[a-z]+ 64MiB IET VIRTUAL-DISK" \
    login "Login: $string"
  assert_equal cmd_sg_entries 255 "$(</sys/module/ib_srp/parameters/cmd_sg_entries)"
  host=$(the_host)
  says 'once more' 0 "^already logged in: host$host, $rdma_device/1, running" login "$string"
  assert_equal sessions 1 "$(sessions 1)"
  disk=$(disk_of "$host" 1)
  says 'no such thing' 3 "no session matches 'sdzz'" logout sdzz
  for selector in "$disk" "$(id_ext_of "$string")"; do
    says "selector $selector" 0 "logged out: host$host" logout "$selector"
    logged_out || fail "a session is left after logout $selector"
    says 'with its device' 0 'logged in' login --device "$rdma_device/1" "$string" queue_size=16
    host=$(the_host)
    assert_host can_queue 16
  done
  says 'all' 0 'logged out' logout --all
  wait_for 20 has_sessions 1 0
  says 'IPv6' 0 'logged in' login "$(login_string 1 ipv6)"
  says 'by address' 0 'logged out' logout "$ipv6"
  tgtd_stop
}

id_ext_of() { sed -n 's/.*id_ext=\([0-9a-f]*\).*/\1/p' <<<"$1"; }

# A line for each session, also of one that the program has not made.
case_tool_list() {
  local string fields host
  serve 64
  string=$(login_string 1)
  says 'nobody' 0 '^no sessions' list
  says 'login' 0 'logged in' login "$string" ch_count=2
  host=$(the_host)
  read -ra fields < <("$checkout/build/contrib/srp-login" list | sed -n 2p)
  assert_equal 'the line' "host$host running $rdma_device/1 2 $(id_ext_of "$string") $(attribute ioc_guid) $ipv4:5000" \
    "${fields[*]:0:7}"
  assert_equal 'the rest of the line' "no $(basename "$(disk_of "$host" 1)") 64MiB IET VIRTUAL-DISK" "${fields[*]:8}"
  # The target has the identifier with 0x and without a colon.
  assert_match 'the initiator, as the target knows it' "${fields[7]/:/}" "$(srpadm --mode conn --op show --tid 1)"
  srp_logout "$host"
  wait_for 20 has_sessions 1 0
  host=$(srp_login "$string")
  says 'made by hand' 0 "^host$host +running .* $ipv4 +\?:[0-9a-f]{16} +no " list
  says 'already there' 0 "^already logged in: host$host" login "$string"
  srp_logout "$host"
  tgtd_stop
}

attribute() { sed 's/^0x//' "/sys/class/scsi_host/host$host/$1"; }

# What the kernel cannot do is explained.
case_tool_refused() {
  local string
  tgtd_start
  target_add 1 ''
  lun_add 1 1 32
  string=$(login_string 1)
  says 'no ACL' 1 'the target refused; its log says why' login "$string"
  assert_match "tgtd's log" 'login refused' "$(<"$case_log/tgtd.log")"
  says 'another port' 1 "nothing listens at $ipv4:5999" login "${string/:5000/:5999}"
  says 'the kernel is quoted' 1 '^  kernel: .*(REJ|failed)' login "$string"
  says 'no device' 5 "no RDMA device behind lo.*$rdma_device/1" login "${string/$ipv4/127.0.0.1}"
  says 'no route' 1 'there is no route to 203.0.113.1' login "${string/$ipv4/203.0.113.1}"
  says 'no such device' 5 "there is no RDMA port mlx5_0/1.*there are: $rdma_device/1" login "$string" device=mlx5_0/1
  says 'no such interface' 1 "no interface 'eth7'" login "${string/$ipv4/[fe80::1%eth7]}"
  logged_out || fail 'a session was made'
  tgtd_stop
}

# The RDMA port is found below a VLAN, a bridge and a bond, and behind a scope.
case_tool_finds_port() {
  local base=id_ext=0123456789abcdef,ioc_guid=0123456789abcdef
  local there="/srp-$rdma_device-1/add_target"
  modprobe -a 8021q bonding
  ip link add link "$netdev" name "$netdev.5" type vlan id 5
  ip link add link "$netdev.5" name inner type vlan id 6
  for link in "$netdev.5" inner; do ip link set "$link" up; done
  ip addr add 192.168.95.1/24 dev "$netdev.5"
  ip addr add 192.168.96.1/24 dev inner
  says 'directly' 0 "$there" login --dry-run "$base,dest=${ipv4%.*}.7:5000"
  says 'VLAN' 0 "$there" login --dry-run "$base,dest=192.168.95.7:5000"
  says 'VLAN in a VLAN' 0 "$there" login --dry-run "$base,dest=192.168.96.7:5000"
  says 'scope' 0 "dest=\[fe80::7%$netdev\]:5000.*$there" login --dry-run "$base,dest=[fe80::7%$netdev]:5000"
  ip link add other type dummy
  ip link add bond9 type bond mode active-backup
  ip link set other master bond9
  ip link set bond9 up
  rdma link add "${provider}9" type "$provider" netdev other
  ip addr add 192.168.97.1/24 dev bond9
  says 'bond' 0 "/srp-${provider}9-1/add_target" login --dry-run "$base,dest=192.168.97.7:5000"
  says 'source' 0 "$there" login --dry-run "$base,dest=192.168.95.7:5000,src=192.168.95.1"
  rdma link delete "${provider}9"
  for link in bond9 other inner "$netdev.5"; do ip link delete "$link"; done
}

# Disks in use are not taken away, unless by force.
case_tool_disk_in_use() {
  local host disk mounted=$PWD/mounted
  export DM_DISABLE_UDEV=1
  modprobe dm_mod
  serve 64
  lun_add 1 2 64
  says 'login' 0 'logged in: .*sd[a-z]+ 64MiB.*; sd[a-z]+ 64MiB' login "$(login_string 1)"
  host=$(the_host)
  disk=$(disk_of "$host" 2)
  mkfs.ext4 -q "$disk"
  mkdir "$mounted"
  mount "$disk" "$mounted"
  says 'mounted' 4 "${disk#/dev/} is mounted on $mounted \(host$host\)" logout "$host"
  is_running "$host" || fail 'the session is gone'
  umount "$mounted"
  mkswap "$disk"
  swapon "$disk"
  says 'swap' 4 "${disk#/dev/} is swapped to" logout --all
  swapoff "$disk"
  dmsetup create upon --table "0 2048 linear $disk 0"
  says 'device mapper' 4 "${disk#/dev/} is part of dm-[0-9]+ \(upon\)" logout "$disk"
  is_running "$host" || fail 'the session is gone'
  says 'by force' 0 'logged out' logout --force "$disk"
  logged_out || fail 'the session is still there'
  dmsetup remove --retry upon
  tgtd_stop
}

# The target is gone: the host can be rid of the session, and nothing waits for ever.
case_tool_lost_target() {
  local host string
  serve 64
  string=$(login_string 1)
  says 'login' 0 'logged in' login "$string"
  host=$(the_host)
  tgtd_kill
  wait_for 60 is_blocked "$host"
  says 'list' 0 "^host$host +(blocked|fail-fast) " list
  says 'still logged in' 0 "^already logged in: host$host, $rdma_device/1, (blocked|fail-fast)" login "$string"
  says 'rescan' 0 "host$host is (blocked|fail-fast): not looked at" rescan
  says 'logout' 0 "logged out: host$host" logout "$host"
}

is_blocked() { [[ $(<"$(srp_port "$1")/state") == @(blocked|fail-fast) ]]; }

# LUNs come and go while another is written to.
case_tool_rescan() {
  local host disk other
  serve 64
  says 'login' 0 'logged in' login "$(login_string 1)"
  host=$(the_host)
  disk=$(disk_of "$host" 1)
  load_start "$disk"
  says 'nothing' 0 "^host$host: nothing new" rescan
  lun_add 1 2 48
  says 'a new one' 0 "^host$host: new: sd[a-z]+ 48MiB IET VIRTUAL-DISK" rescan
  other=$(disk_of "$host" 2)
  wait_for 30 srpadm --mode logicalunit --op delete --tid 1 --lun 2
  says 'a removed one' 0 "^host$host: gone: ${other#/dev/}:" rescan
  load_end clean
  says 'logout' 0 'logged out' logout --all
  tgtd_stop
}

# Logins that are kept; here is no systemd, so the service's commands are given by hand.
case_tool_kept() {
  local string name host
  serve 64
  string=$(login_string 1)
  name=$(id_ext_of "$string")-$ipv4-5000
  says 'enable' 0 'there is no systemd here' enable "$string" queue_size=20
  assert_equal 'mode and owner of the file' '600 root' "$(stat -c '%a %U' "/etc/srp-login.d/$name.conf")"
  says 'start' 0 'logged in' start "$name"
  host=$(the_host)
  assert_host can_queue 20
  says 'start again' 0 'already logged in' start --all
  says 'list' 0 "^host$host .* yes +sd" list
  says 'stop' 0 "logged out: host$host" stop "$name"
  says 'stop again' 0 'not logged in' stop "$name"
  says 'login' 0 'logged in' login "$string"
  says 'by name' 0 'logged out' logout "$name"
  echo 'id_ext=7' >/etc/srp-login.d/wrong.conf
  says 'a wrong file' 2 '/etc/srp-login.d/wrong.conf: id_ext=7: id_ext is 16 hexadecimal digits' start wrong
  says 'all, one of them wrong' 2 'logged in' start --all
  assert_equal sessions 1 "$(sessions 1)"
  says 'disable' 0 "no longer kept: $name" disable "$ipv4:5000"
  assert_fails test -e "/etc/srp-login.d/$name.conf"
  says 'stop of what is no longer kept' 0 'no longer kept' stop "$name"
  says 'no such name' 3 "matches 'nothing'; there is: wrong" disable nothing
  rm -r /etc/srp-login.d
  says 'logout' 0 'logged out' logout --all
  tgtd_stop
}

# Two hosts at ports without GUIDs do not take each other's session: the identifier is made of the host's. One with a
# GUID needs nothing of the kind.
case_tool_initiator_ext() {
  local string mine id
  serve 64
  string=$(login_string 1)
  if [[ $provider == rxe ]]; then
    says 'a port with a GUID' 0 '^echo [^ ]*:5000 >' login --dry-run "$string"
    tgtd_stop
    return
  fi
  says 'the first host' 0 'logged in' login "$string"
  mine=$(sed -n 's/.*initiator_ext=\([0-9a-f]\{16\}\).*/\1/p' /run/srp-login/host*)
  assert_match 'initiators' "${mine}0000000000000000" "$(srpadm --mode conn --op show --tid 1)"
  says 'once more' 0 'already logged in' login "$string"
  id=$(</etc/machine-id)
  echo 00000000000000000000000000000002 >/etc/machine-id
  says 'the second host' 0 'logged in' login "$string"
  echo "$id" >/etc/machine-id
  assert_equal sessions 2 "$(sessions 1)"
  says 'chosen' 0 'logged in' login "$string" initiator_ext=0000000000000001
  assert_equal sessions 3 "$(sessions 1)"
  says 'logout' 0 'logged out' logout --all
  tgtd_stop
}

# multipath-tools' own parser reads the fragment, and knows every word in it.
case_tool_multipath() {
  local parsed
  mkdir -p /etc/multipath/conf.d
  "$checkout/build/contrib/srp-login" multipath >/etc/multipath/conf.d/srp.conf
  parsed=$(multipath -t 2>complaints)
  assert_equal 'complaints of multipath' '' "$(<complaints)"
  parsed=$(grep -A 12 'vendor "IET"' <<<"$parsed")
  assert_match 'the device section' 'no_path_retry 12' "$parsed"
  assert_match 'the device section' 'path_grouping_policy "failover"' "$parsed"
  rm -r /etc/multipath
}

# What README.md says about tuning: its commands work, and the numbers in it are so.
case_tool_tuning() {
  local string host disk port queue
  serve 64
  string=$(login_string 1)
  says 'two channels' 0 'logged in' login "$string" ch_count=2
  look_at_session
  assert_host can_queue 62
  assert_equal 'KiB of a request by default' 512 "$(<"$queue/max_hw_sectors_kb")"
  assert_match 'scheduler of two channels' '\[none\]' "$(<"$queue/scheduler")"
  assert_equal nr_requests 62 "$(<"$queue/nr_requests")"
  assert_fails eval "echo 63 >$queue/nr_requests"
  assert_equal read_ahead_kb 128 "$(<"$queue/read_ahead_kb")"
  assert_equal use_imm_data Y "$(</sys/module/ib_srp/parameters/use_imm_data)"
  assert_equal register_always Y "$(</sys/module/ib_srp/parameters/register_always)"
  assert_equal 'the timers' '10 15 600' "$(cat "$port"/{reconnect_delay,fast_io_fail_tmo,dev_loss_tmo} | paste -sd ' ')"
  echo 2 >"$queue/rq_affinity"
  echo 4096 >"$queue/read_ahead_kb"
  echo off >"$port/fast_io_fail_tmo"
  echo off >"$port/dev_loss_tmo"
  echo 2 >"$port/reconnect_delay"
  echo 5 >"$port/fast_io_fail_tmo"
  says 'logout' 0 'logged out' logout --all
  says 'one channel, a deep queue' 0 'logged in' login "$string" ch_count=1 queue_size=500
  look_at_session
  assert_host can_queue 127
  assert_match 'scheduler of one channel' '\[mq-deadline\]' "$(<"$queue/scheduler")"
  echo none >"$queue/scheduler"
  says 'logout' 0 'logged out' logout --all
  says 'large requests' 0 'logged in' login "$string" max_sect=8192 sg_tablesize=2048 allow_ext_sg=1
  look_at_session
  assert_equal 'KiB of a request at most' 4096 "$(<"$queue/max_hw_sectors_kb")"
  assert_equal 'pieces of a request' 2048 "$(<"$queue/max_segments")"
  echo 4096 >"$queue/max_sectors_kb"
  says 'logout' 0 'logged out' logout --all
  initiator_load cmd_sg_entries=255 fast_io_fail_tmo=5 dev_loss_tmo=off
  tgtd_stop
}

look_at_session() {
  host=$(the_host)
  disk=$(disk_of "$host" 1)
  queue=/sys/block/${disk#/dev/}/queue
  port=$(srp_port "$host")
}
