# shellcheck shell=bash
# What a case is written with: the daemon, the tools, and assertions. Sourced, under `set -eEuo pipefail`. Waits are
# bounded by many times what is needed; none measures speed.

: "${case_log:?}"  # where run-case keeps logs
checkout=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
modules=/usr/lib/tgt/backing-store
port=7  # control port; 0 would be the one of a system's daemon
runner=  # a command to run tgtd under
tgtd_pid=
tgtd_log=$case_log/tgtd.log
daemons=()

# ---- saying what happened ----

# fail WHY: end the case. The first reason given is the one that is reported, in one line.
fail() {
  local why=${*//$'\n'/ | }
  [[ -s $case_log/reason ]] || printf '%s\n' "${why:0:400}" >"$case_log/reason"
  printf 'failed: %s\n' "$why" >&2
  exit 1
}

# failed_at: for the trap on errors; the line of the case itself, however deep the command that failed.
failed_at() {
  local depth file line
  for ((depth = 1; depth < ${#BASH_SOURCE[@]}; depth++)); do
    file=${BASH_SOURCE[depth]} line=${BASH_LINENO[depth - 1]}
    [[ $file != */cases[/.]* ]] || break
  done
  echo "${file##*/}:$line: $(sed -n "${line}s/^ *//p" "$file")"
}

skip_case() {
  printf '%s\n' "$*" >"$case_log/reason"
  exit 77
}

assert_equal() { [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"; }

assert_match() {
  grep -qE -- "$2" <<<"$3" && return
  printf '%s\n' "$3"
  fail "$1: nothing matches '$2' in: $(tail -c 150 <<<"$3")"
}

assert_no_match() { ! grep -qE -- "$2" <<<"$3" || fail "$1: matches '$2': $(grep -m 1 -E -- "$2" <<<"$3")"; }
assert_alive() { kill -0 "$tgtd_pid" 2>/dev/null || fail "tgtd has ended: $(tail -n 3 "$tgtd_log")"; }

# refused MESSAGE COMMAND...: it must fail, say MESSAGE, and leave the daemon alive.
refused() {
  local said
  ! said=$("${@:2}" 2>&1) || fail "accepted: ${*:2}"
  assert_match "${*:2}" "$1" "$said"
  assert_alive
}

logged() { grep -cE -- "$1" "$tgtd_log" || true; }
assert_logged() { (($(logged "$1"))) || fail "nothing matches '$1' in tgtd's log: $(tail -n 5 "$tgtd_log")"; }

# within SECONDS COMMAND...: is COMMAND true before the time is over?
within() {
  local end=$((SECONDS + $1))
  until "${@:2}"; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done 2>/dev/null
}

wait_for() { within "$@" || fail "after $1 s still not so: ${*:2}"; }

gone() { ! kill -0 "$1"; }

# ---- the daemon ----

set_stage() {
  unset TGT_IPC_SOCKET TGT_SRP_CONF NOTIFY_SOCKET
  install -m 644 "$checkout/build/lld_srp.so" "$modules/"
}

# tgtd_start [NAME=VALUE...] [OPTION...]: in the foreground, on the control port, under $runner if that is set.
tgtd_start() {
  local -a environment=()
  while [[ ${1-} =~ ^[A-Z_]+= ]]; do environment+=("$1"); shift; done
  # shellcheck disable=SC2086  # a command with its arguments
  env "${environment[@]}" $runner tgtd -f -C "$port" "$@" >>"$tgtd_log" 2>&1 &
  tgtd_pid=$!
  daemons+=("$tgtd_pid")
  wait_for 60 answers_or_gone
  assert_alive
}

answers() { adm --mode sys --op show >/dev/null; }
answers_or_gone() { answers || gone "$tgtd_pid"; }

# tgtd_ends COMMAND...: after COMMAND the daemon must end with status 0.
tgtd_ends() {
  local status=0
  "$@" || fail "refused: $*"
  wait_for 30 gone "$tgtd_pid"
  wait "$tgtd_pid" || status=$?
  tgtd_pid=
  assert_equal "tgtd's exit status" 0 "$status"
}

# An orderly end, which no case may have made impossible.
tgtd_stop() {
  local tid
  assert_alive
  for tid in $(tids); do
    adm --mode target --op delete --force --tid "$tid" || fail "target $tid cannot be deleted"
  done
  tgtd_ends adm --mode system --op delete
}

kill_all() {
  local pid
  for pid in "${daemons[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
  done
}

# ---- the tools ----

adm() { timeout 30 tgtadm -C "$port" "$@"; }
srp() { adm --lld srp "$@"; }
admin() { timeout 60 tgt-admin -C "$port" "$@"; }

# lld NAME: its state.
lld() { adm --mode lld --op show | sed -n "s/^    $1: //p"; }
lld_is() { [[ $(lld "$1") == "$2" ]]; }

tids() { adm --mode target --op show | sed -n 's/^Target \([0-9]*\):.*/\1/p'; }
names() { adm --mode target --op show | sed -n 's/^Target [0-9]*: //p' | sort | xargs; }

target_add() { srp --mode target --op new --tid "$1" --targetname "${2-target-$1}"; }
target_delete() { srp --mode target --op delete --tid "$1"; }

# disk NAME [MiB]: a file of zeros, by its full path.
disk() {
  truncate -s "${2-4}M" "$1"
  echo "$PWD/$1"
}

# lun_add TID LUN [OPTION...]
lun_add() { srp --mode logicalunit --op new --tid "$1" --lun "$2" -b "$(disk "disk-$1-$2")" "${@:3}"; }

# target_text TID: its part of `target show`.
target_text() { adm --mode target --op show | sed -n "/^Target $1:/,/^Target [^$1]/p"; }

# ---- what the process holds ----

open_files() { find "/proc/$tgtd_pid/fd" -mindepth 1 | wc -l; }
threads() { find "/proc/$tgtd_pid/task" -mindepth 1 -maxdepth 1 | wc -l; }
resident_kib() { awk '/^VmRSS:/ {print $2}' "/proc/$tgtd_pid/status"; }
