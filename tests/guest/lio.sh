# shellcheck shell=bash disable=SC2119,SC2120,SC2154  # used by those who source this
# The kernel's own SRP target (LIO, ib_srpt) on the same device: something to compare with. Sourced after lib.sh.
# Links in configfs are resolved from the caller's directory, so all paths here are absolute.

lio=/sys/kernel/config/target
lio_port=5555   # its RDMA/CM port; the project's own is 5000

# lio_start: load it; no target is there yet.
lio_start() {
  modprobe -a target_core_mod ib_srpt
  mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
  mkdir -p $lio/srpt
  [[ $(<$lio/srpt/discovery_auth/rdma_cm_port) == "$lio_port" ]] ||
    echo "$lio_port" >$lio/srpt/discovery_auth/rdma_cm_port
  lio_tpg=$lio/srpt/$(lio_guid)/$(lio_guid)
  mkdir -p "$lio_tpg"
}

# ib_srpt names a port by its device's default gid, without the prefix.
lio_guid() { sed 's/^fe80:0000:0000:0000://' "/sys/class/infiniband/$rdma_device/ports/1/gids/0"; }

# lio_disk LUN MiB [null]: a disk in memory; a null one keeps nothing.
lio_disk() {
  local disk=$lio/core/rd_mcp_$1/disk pages=$(($2 * 256))
  mkdir -p "$disk"
  echo "rd_pages=$pages${3:+,rd_nullio=1}" >"$disk/control"
  echo 1 >"$disk/enable"
  mkdir -p "$lio_tpg/lun/lun_$1"
  ln -s "$disk" "$lio_tpg/lun/lun_$1/"
}

# lio_file LUN FILE SERIAL: a file as a disk.
lio_file() {
  local disk=$lio/core/fileio_$1/disk
  mkdir -p "$disk"
  echo "fd_dev_name=$2,fd_dev_size=$(stat -c %s "$2")" >"$disk/control"
  echo "$3" >"$disk/wwn/vpd_unit_serial"
  echo 1 >"$disk/enable"
  mkdir -p "$lio_tpg/lun/lun_$1"
  ln -s "$disk" "$lio_tpg/lun/lun_$1/"
}

# lio_admit NAME LUN...: an initiator, by its address or by its port's guid, may use these disks.
lio_admit() {
  local acl=$lio_tpg/acls/$1 lun
  mkdir -p "$acl"
  for lun in "${@:2}"; do
    mkdir "$acl/lun_$lun"
    ln -s "$lio_tpg/lun/lun_$lun" "$acl/lun_$lun/"
  done
}

lio_enable() { echo 1 >"$lio_tpg/enable"; }

# lio_login_string [ADDRESS]
lio_login_string() {
  local guid
  guid=$(sed 's/^0x//' /sys/module/ib_srpt/parameters/srpt_service_guid)
  echo "id_ext=$guid,ioc_guid=$guid,dest=${1:-$ipv4}:$lio_port"
}

# lio_stop: take everything apart again, in the reverse order.
lio_stop() {
  local entry
  echo 0 >"$lio_tpg/enable"
  find "$lio_tpg/acls" "$lio_tpg/lun" -type l -delete
  for entry in "$lio_tpg"/acls/*/lun_* "$lio_tpg"/acls/* "$lio_tpg"/lun/lun_* "$lio_tpg" "${lio_tpg%/*}" \
    "$lio/srpt" "$lio"/core/{rd_mcp,fileio}_*/disk "$lio"/core/{rd_mcp,fileio}_*; do
    [[ ! -d $entry ]] || rmdir "$entry"
  done
  modprobe -r ib_srpt
}
