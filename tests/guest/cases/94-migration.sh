# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets the variables
# From one of the kernel's targets to this one, with its configuration converted: contrib/{targetcli,scst}-to-tgt.

# identity DISK: what the initiator knows a disk by. LIO ends its serial number with a zero.
identity() {
  local device=/sys/block/${1##*/}/device name
  for name in wwid vendor model rev; do
    echo "$name: $(sed 's/ *$//' "$device/$name")"
  done
  echo "serial: $(tail -c +5 "$device/vpd_pg80" | tr -d '\0')"
}

# What targetcli would save of the target that the case below has made.
lio_saved() {
  cat <<JSON
{
  "storage_objects": [
    {"plugin": "fileio", "name": "disk", "dev": "$1", "wwn": "$2", "write_back": true,
     "attributes": {"block_size": 512, "emulate_model_alias": 0}}
  ],
  "targets": [
    {"fabric": "srpt", "wwn": "$(lio_guid)", "tpgs": [
      {"enable": true, "luns": [{"index": 1, "storage_object": "/backstores/fileio/disk"}],
       "node_acls": [{"node_wwn": "$ipv4", "mapped_luns": [{"index": 1, "tpg_lun": 1, "write_protect": false}]}]}]}
  ]
}
JSON
}

# The initiator logs in with the string that it always had, but for the port number, and finds the disk that it knows.
case_migrated_from_lio() {
  local serial=2e80f5cb-050a-4ca1-94b1-49ea7dfa953f file=$PWD/disk host disk login known
  # shellcheck source=tests/guest/lio.sh disable=SC1091
  . "$checkout/tests/guest/lio.sh"
  truncate -s 16M "$file"
  lio_start
  lio_file 1 "$file" "$serial"
  lio_admit "$ipv4" 1
  lio_enable
  login=$(lio_login_string)
  host=$(srp_login "$login")
  disk=$(disk_of "$host" 1)
  known=$(identity "$disk")
  echo 'written through LIO' | dd of="$disk" bs=512 conv=sync oflag=direct
  srp_logout "$host"
  lio_saved "$file" "$serial" >saveconfig.json
  lio_stop

  "$checkout/contrib/targetcli-to-tgt" --targets targets.conf --srp srp.conf saveconfig.json
  tgtd_start TGT_SRP_CONF="$PWD/srp.conf"
  tgt-admin -c targets.conf -e
  host=$(srp_login "${login/%:$lio_port/:5000}")
  disk=$(disk_of "$host" 1)
  assert_equal 'identity of the disk' "$known" "$(identity "$disk")"
  assert_equal 'what is on it' 'written through LIO' "$(dd if="$disk" bs=512 count=1 iflag=direct | head -n 1)"
  srp_logout "$host"
  tgtd_stop
}

# The initiator sees the LUNs of its group, at the port that SCST named after its first GID.
case_migrated_from_scst() {
  local port=/sys/class/infiniband/$rdma_device/ports/1 guid host disk
  guid=$(tr -d : <"/sys/class/infiniband/$rdma_device/node_guid")
  truncate -s 8M everyone mine
  cat >scst.conf <<CONF
HANDLER vdisk_fileio {
  DEVICE everyone {
    filename $PWD/everyone
  }
  DEVICE mine {
    filename $PWD/mine
    t10_dev_id 0123mine
    usn mine0001
  }
}
TARGET_DRIVER ib_srpt {
  TARGET $(<"$port/gids/0") {
    enabled 1
    LUN 1 everyone
    GROUP me {
      LUN 3 mine {
        read_only 1
      }
      INITIATOR $ipv4
    }
  }
}
CONF
  "$checkout/contrib/scst-to-tgt" --targets targets.conf --srp srp.conf scst.conf || assert_equal 'exit status' 1 $?
  tgtd_start TGT_SRP_CONF="$PWD/srp.conf"
  tgt-admin -c targets.conf -e
  host=$(srp_login "id_ext=$guid,ioc_guid=$guid,dest=$ipv4:5000")
  disk=$(disk_of "$host" 3)
  assert_fails disk_is_there "$host" 1
  assert_equal 'read-only' 1 "$(<"/sys/block/${disk##*/}/ro")"
  assert_equal 'identity of the disk' 'vendor: SCST_FIO model: mine serial: mine0001' \
    "$(identity "$disk" | sed -n '/^vendor\|^model\|^serial/{s/:  */: /;p}' | xargs)"
  srp_logout "$host"
  tgtd_stop
}
