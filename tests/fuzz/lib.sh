# shellcheck shell=bash
# Sourced by what builds and runs the fuzzers: tests/suites/fuzz, tests/fuzz/minimise, tests/fuzz/coverage.

checkout=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
fuzzers=(iu login sim)

# Small quarantine and short stacks make the sanitizers twice as fast; a replay by hand has the full ones. The
# simulation writes a configuration file for each world, which should not reach a disk.
export ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=16:malloc_context_size=5}
[[ ! -d /dev/shm ]] || export TMPDIR=/dev/shm

# longest NAME: bytes of an input. An IU with all descriptors in line has 8,500, but few of them say more than many.
longest() {
  case $1 in
    iu) echo 1024 ;;
    login) echo 280 ;;
    sim) echo 2048 ;;
  esac
}

# build_fuzzers DIR LOG [CMAKE_OPTION...]
build_fuzzers() {
  local dir=$1 log=$2 suffix=
  shift 2
  ! command -v clang++-14 >/dev/null || suffix=-14
  { CC=clang$suffix CXX=clang++$suffix cmake -S "$checkout" -B "$dir" -G Ninja -DTGT_SRP_TESTS=OFF -DTGT_SRP_FUZZ=ON \
    "$@" && cmake --build "$dir" --target fuzzers; } >"$log" 2>&1
}

# wanted_fuzzers NAME...: sets fuzzers to those that are named, if any are.
wanted_fuzzers() {
  local name
  for name in "$@"; do
    [[ " ${fuzzers[*]} " == *" $name "* ]] || { echo "no fuzzer '$name'; there are: ${fuzzers[*]}" >&2; exit 2; }
  done
  [[ $# -eq 0 ]] || fuzzers=("$@")
}
