# shellcheck shell=bash
# Sourced by tests/run and contrib/demo: get the packages, build the plugin.

checkout=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")

packages_listed() { sed '/^#/d;/^$/d' "$checkout/tests/lib/packages"; }

packages_missing() {
  local package
  for package in $(packages_listed); do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
  done
}

as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "this needs root, and there is no sudo: $*" >&2
    return 1
  fi
}

# Installing tgt must not start a daemon: Debian asks policy-rc.d, and 101 means no. One that exists is left as it is.
policy=/usr/sbin/policy-rc.d

forbid_daemons() {
  [[ ! -e $policy ]] || return 0
  trap 'as_root rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}

# install_packages LOG: what is missing, and nothing else. In a subshell, whose end takes the policy away again.
install_packages() (
  mapfile -t missing < <(packages_missing)
  [[ ${#missing[@]} -gt 0 ]] || exit 0
  echo "installing ${missing[*]}"
  forbid_daemons
  { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"; } >"$1" 2>&1 || {
    tail -n 15 "$1" >&2
    echo "these packages cannot be installed: ${missing[*]}; see $1" >&2
    exit 1
  }
)

# build_project LOG [TARGET...]
build_project() {
  local log=$1
  shift
  { cmake -S "$checkout" -B "$checkout/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX=/usr &&
    cmake --build "$checkout/build" ${@+--target "$@"}; } >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    echo "the build failed: see $log" >&2
    return 1
  }
}

# build_packages LOG GENERATOR...: DEB and RPM, out of what is built.
build_packages() {
  local log=$1 generator
  shift
  for generator; do
    (cd "$checkout/build" && cpack -G "$generator") >>"$log" 2>&1 || return 1
  done
}

# package_of deb|rpm [NAME]: the driver's, or another.
package_of() {
  find "$checkout/build/packages" -maxdepth 1 -name "${2:-tgt-srp}[_-][0-9]*.$1" | sort -V | tail -n 1 | grep .
}
