# shellcheck shell=bash disable=SC2154  # what tests/tgtd/lib.sh defines
# An expected result of the converters, loaded as an administrator would: by tgt-admin, into tgtd with the plugin.

# stage_stores: empty directories in the place of those where the configurations have their stores; /dev keeps the few
# files that everything needs.
stage_stores() {
  local kept=(null zero full random urandom) file
  mkdir dev srv
  mount -t tmpfs -o mode=755 migration-suite srv
  mount -t tmpfs -o mode=755 migration-suite dev
  mkdir dev/shm
  for file in "${kept[@]}"; do
    : >"dev/$file"
    mount --bind "/dev/$file" "dev/$file"
  done
  mount --move srv /srv
  mount --move dev /dev
}

# make_stores FILE: the stores that a targets.conf serves, of 4 MiB each.
make_stores() {
  local store
  sed -n 's/^ *<backing-store \(.*\)>$/\1/p' "$1" | while IFS= read -r store; do
    [[ ! -e $store && $store != /dev/sg* ]] || continue
    mkdir -p "${store%/*}"
    truncate -s 4M "$store"
  done
}

# loaded: what tgtd has now, a line for each target, unit and ACL entry.
loaded() {
  adm --mode target --op show | awk '
    function value() {sub(/^[^:]*: */, ""); return $0}
    function end_unit() {
      if (lun > 0) printf "  LUN %d: %s %s %s, %s%s, %s, %s\n", lun, type, store, path, block, more, id, serial
      lun = 0
    }
    /^Target / {end_unit(); acl = 0; print "target " value()}
    /^ *LUN: / {end_unit(); lun = value(); more = ""}
    /^ *Type: / {type = value()}
    /^ *SCSI ID: / {id = "id " value()}
    /^ *SCSI SN: / {serial = "serial " value()}
    /^ *Size: / {block = "blocks of " substr($0, index($0, "Block size: ") + 12)}
    /^ *Readonly: Yes/ {more = more ", readonly"}
    /^ *Removable media: Yes/ {more = more ", removable"}
    /^ *Thin-provisioning: Yes/ {more = more ", thin"}
    /^ *Backing store type: / {store = value()}
    /^ *Backing store path: / {path = value()}
    /^ *Backing store flags: [a-z]/ {more = more ", " value()}
    /^ *(Account|LUN) information:/ {if (acl) end_unit(); acl = 0}
    /^ *ACL information:/ {end_unit(); acl = 1; next}
    acl {sub(/^ */, ""); print "  admits " $0}' | sed 's/ *$//'
}

# Pass-through needs a device that no machine has for us: tgt-admin says that it leaves it out.
case_loads() {
  local fixture=$checkout/tests/migration/$1 said
  stage_stores
  make_stores "$fixture/targets.conf"
  tgtd_start TGT_SRP_CONF="$fixture/srp.conf"
  assert_no_match 'sys show' "$fixture/srp.conf:[0-9]" "$(srp --mode sys --op show)"
  said=$(admin -v -c "$fixture/targets.conf" -e)
  assert_no_match 'tgt-admin' 'Skipping device:? (/dev/[^s]|/srv)|WARNING|rror' "$said"
  loaded >now
  [[ -z ${tgtd_accept-} ]] || cp now "$fixture/loaded"
  diff "$fixture/loaded" now || fail "tgtd has something else than expected: $(diff "$fixture/loaded" now | head -n 3)"
  [[ ! -e /srv/pwned ]] || fail "a command of the configuration was run"
}
