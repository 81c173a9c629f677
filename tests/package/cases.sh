# shellcheck shell=bash disable=SC2016,SC2154  # single quotes hold dpkg's formats; what run-cases sets
# The packages as files, then the life of the .deb in $tree, in the order of this file.

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=../tgtd/lib.sh
. "$here/../tgtd/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/setup.sh
. "$here/../lib/setup.sh"

deb=$(package_of deb)
rpm=$(package_of rpm)
login_deb=$(package_of deb srp-login)   # what helps on the initiator
module=/usr/lib/tgt/backing-store/lld_srp.so
settings=/etc/tgt/srp.conf

# ---- means ----

tree_environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)
in_tree() { chroot "$tree" env -i "${tree_environment[@]}" "$@"; }

# install PACKAGE...: by apt, out of what the tree has downloaded. Of settings that were edited, what is there is kept.
install() {
  local file names=()
  for file; do
    cp "$file" "$tree/var/tmp/"
    names+=("/var/tmp/${file##*/}")
  done
  in_tree apt-get install -y --no-install-recommends --allow-downgrades -o Dpkg::Options::=--force-confdef "${names[@]}"
}

# The tools of the tree, for a daemon of the tree.
adm() { in_tree timeout 30 tgtadm -C "$port" "$@"; }

daemon_start() {
  chroot "$tree" env -i "${tree_environment[@]}" tgtd -f -C "$port" >>"$tgtd_log" 2>&1 &
  tgtd_pid=$!
  daemons+=("$tgtd_pid")
  wait_for 60 answers_or_gone
  assert_alive
}

# repacked VERSION: the package as another version, with a setting more in its conffile.
repacked() {
  dpkg-deb -R "$deb" other
  sed -i "s/^Version: .*/Version: $1/" other/DEBIAN/control
  echo "# Of version $1." >>"other$settings"
  dpkg-deb --root-owner-group -b other "tgt-srp_$1_amd64.deb" >/dev/null
  rm -r other
}

# files: all of the tree, but for what dpkg, apt and daemons keep.
files() {
  in_tree find / -xdev \( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log -o \
    -path /var/tmp -o -path /run -o -path /tmp \) -prune -o -print | LC_ALL=C sort
}

# ---- the packages as files ----

contents() { dpkg-deb --fsys-tarfile "${1:-$deb}" | tar -t | grep -v '/$' | sed 's/^\.//' | sort; }

case_contents() {
  assert_equal 'files of the .deb' "$(sort <<END
$settings
/usr/lib/systemd/system/tgt.service.d/srp.conf
/usr/lib/systemd/system/tgtd.service.d/srp.conf
$module
/usr/share/doc/tgt-srp/README.md
/usr/share/doc/tgt-srp/changelog.gz
/usr/share/doc/tgt-srp/copyright
/usr/share/doc/tgt-srp/examples/hardened.conf
/usr/share/doc/tgt-srp/srp.conf.example
/usr/share/man/man5/srp.conf.5.gz
/usr/share/man/man8/lld_srp.8.gz
END
)" "$(contents)"
  assert_equal 'owners' 'root/root' "$(dpkg-deb -c "$deb" | awk '{print $2}' | sort -u)"
  assert_equal 'files of the .rpm' "$(contents)" "$(rpm -qp --dump "$rpm" | awk '$5 ~ /^0100/ {print $1}' | sort)"
}

case_contents_for_initiators() {
  assert_equal 'files of the .deb' "$(sort <<END
/usr/lib/systemd/system/srp-login@.service
/usr/sbin/srp-login
/usr/share/doc/srp-login/changelog.gz
/usr/share/doc/srp-login/copyright
/usr/share/lintian/overrides/srp-login
/usr/share/man/man8/srp-login.8.gz
END
)" "$(contents "$login_deb")"
  assert_equal 'files of the .rpm' "$(contents "$login_deb")" \
    "$(rpm -qp --dump "$(package_of rpm srp-login)" | awk '$5 ~ /^0100/ {print $1}' | sort)"
}

# The settings are the example: all is commented, so that defaults hold.
case_settings() {
  assert_equal conffiles "$settings" "$(dpkg-deb -I "$deb" conffiles)"
  assert_equal 'configuration of the .rpm' "$settings" "$(rpm -qpc "$rpm")"
  dpkg-deb -x "$deb" .
  assert_equal 'lines in force' '' "$(grep -vE '^(#.*)?$' ".$settings" || true)"
  cmp ".$settings" "$checkout/conf/srp.conf.example"
}

# As many releases of tgt as plugin_api/tgt_layout.def says, and no more.
case_dependencies() {
  local last depends requires
  last=$(sed -n 's/.*Identical from tgt 1\.0\.47 to 1\.0\.\([0-9]*\)\.$/\1/p' "$checkout/plugin_api/tgt_layout.def")
  depends=$(dpkg-deb -f "$deb" Depends)
  assert_match depends 'tgt \(>= 1:1\.0\.85\)' "$depends"
  assert_match depends "tgt \\(<< 1:1\\.0\\.$((last + 1))~\\)" "$depends"
  assert_match depends 'librdmacm1 .*libstdc\+\+6' "$depends"
  requires=$(rpm -qpR "$rpm")
  assert_match requires '^scsi-target-utils >= 1\.0\.47$' "$requires"
  assert_match requires "^scsi-target-utils < 1\\.0\\.$((last + 1))\$" "$requires"
  assert_match requires '^librdmacm\.so\.1' "$requires"
  assert_no_match provides 'lld_srp' "$(rpm -qp --provides "$rpm")"
}

case_lintian() {
  command -v lintian >/dev/null || skip_case 'lintian is not installed'
  lintian --fail-on error,warning --tag-display-limit 0 "$deb" "$login_deb" ||
    fail "lintian complains, see $case_log/log"
}

# ---- the life of the .deb ----

case_installs() {
  # kmod and iproute2, which srp-login needs, are known to dpkg by paths that merged-/usr has moved.
  in_tree apt-get install -y --no-install-recommends tgt kmod iproute2
  files >"$logs/files-before"
  install "$deb"
  assert_equal 'state' 'ii ' "$(in_tree dpkg-query -W -f '${db:Status-Abbrev}' tgt-srp)"
  assert_equal 'what differs from the package' '' "$(in_tree dpkg --verify tgt-srp)"
}

case_tgtd_loads_it() {
  daemon_start
  assert_equal 'state of srp' ready "$(lld srp)"
  assert_equal 'state of iscsi' ready "$(lld iscsi)"
  assert_match 'sys show' 'Configuration: /etc/tgt/srp.conf$' "$(adm --lld srp --mode sys --op show)"
  tgtd_stop
}

# Without tgtd, and without a restart of anything.
case_initiators_package() {
  install "$login_deb"
  assert_equal 'what differs from the package' '' "$(in_tree dpkg --verify srp-login)"
  assert_match 'srp-login' 'SYNOPSIS|srp-login list' "$(in_tree srp-login --help 2>&1 || true)"
  in_tree dpkg --purge srp-login
}

# A new version meets a setting that was edited and a daemon that runs.
case_upgrade() {
  local said
  echo 'credits = 16;' >>"$tree$settings"
  daemon_start
  repacked 99.0
  said=$(install tgt-srp_99.0_amd64.deb 2>&1)
  assert_match 'what dpkg says' 'when you are ready: systemctl restart tgt' "$said"
  assert_match 'the settings' '^credits = 16;$' "$(<"$tree$settings")"
  assert_equal 'version' 99.0 "$(in_tree dpkg-query -W -f '${Version}' tgt-srp)"
  assert_equal 'state of srp' ready "$(lld srp)"
  tgtd_stop
}

# The daemon keeps what it has loaded; the next one is without. A target that would keep it from starting is named.
case_remove() {
  local said
  daemon_start
  printf '<target a.example>\n  driver srp\n</target>\n' >"$tree/etc/tgt/conf.d/mine.conf"
  said=$(in_tree dpkg -r tgt-srp)
  rm "$tree/etc/tgt/conf.d/mine.conf"
  assert_match 'what dpkg says' '^  /etc/tgt/conf\.d/mine\.conf$' "$said"
  assert_match 'what dpkg says' 'serves SRP until it ends' "$said"
  [[ ! -e $tree$module ]] || fail "the module is still there"
  [[ -e $tree$settings ]] || fail "the settings are gone"
  assert_equal 'state of srp' ready "$(lld srp)"
  tgtd_stop
  daemon_start
  assert_equal 'state of srp' '' "$(lld srp)"
  assert_equal 'state of iscsi' ready "$(lld iscsi)"
  tgtd_stop
}

case_installs_again_with_its_settings() {
  install "$deb"
  assert_match 'the settings' '^credits = 16;$' "$(<"$tree$settings")"
}

# A release of tgt that nobody has looked at does not come without a word: the driver would not load.
case_tgt_beyond_the_range() {
  mkdir -p fake/DEBIAN
  printf '%s\n' 'Package: tgt' 'Version: 1:1.0.98-1' 'Architecture: all' 'Maintainer: nobody' 'Description: none' \
    >fake/DEBIAN/control
  dpkg-deb --root-owner-group -b fake "$tree/var/tmp/tgt-fake.deb" >/dev/null
  assert_match 'what apt would do' '^Remv tgt-srp' "$(in_tree apt-get install -s /var/tmp/tgt-fake.deb)"
}

case_purge() {
  in_tree dpkg --purge tgt-srp
  [[ ! -e $tree$settings ]] || fail "the settings are still there"
  assert_equal 'what is left' '' "$(files | LC_ALL=C comm -13 "$logs/files-before" - | strays)"
}

# strays: of files, those that no package has brought.
strays() {
  local file
  while IFS= read -r file; do in_tree dpkg -S "$file" >/dev/null 2>&1 || echo "$file"; done
}
