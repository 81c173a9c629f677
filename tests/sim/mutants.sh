#!/usr/bin/env bash
# Plants bugs in a copy of the driver, one at a time, and shows that the simulation finds each.
#
#   tests/sim/mutants.sh [NAME...]
#
# Each mutant is a sed expression for one .cpp file, and the reason why the simulation must find it. Prints
# PASS with what found the bug, FAIL where nothing did. Needs g++ and libconfig++; takes some minutes.
set -euo pipefail

root=$(realpath "$(dirname "$(realpath "$0")")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c++20 -g -O1 -fsanitize=address -fsanitize=undefined -fno-omit-frame-pointer -fno-sanitize-recover=all)
failed=0

compile() { g++ "${flags[@]}" -I "$1" -c -o "$3" "$2"; }

# The fakes and the driver, once; a mutant replaces what its file changes.
build_base() {
  local source pids=()
  mkdir -p "$work/base"
  cp -r "$root/lld_srp" "$root/plugin_api" "$root/tests" "$work/base/"
  for source in "$work"/base/{lld_srp,plugin_api,tests/fake,tests/sim}/*.cpp; do
    compile "$work/base" "$source" "${source%.cpp}.o" &
    pids+=($!)
    if ((${#pids[@]} >= $(nproc))); then
      wait "${pids[0]}"
      pids=("${pids[@]:1}")
    fi
  done
  wait "${pids[@]}"
}

link() { g++ "${flags[@]}" -o "$1" "${@:2}" -lconfig++; }

# finds PROGRAM: what found the bug, on one line; nothing if nothing did.
finds() {
  { "$1" scenarios || true; "$1" seeds 1 400 || true; } 2>/dev/null |
    awk 'sub(/^FAIL /, "") && !count++ { sub(/ \(replay.*/, ""); print }'
}

# mutant NAME FILE SED REASON
mutant() {
  local name=$1 file=$2 expression=$3 reason=$4 object found
  [[ ${#wanted[@]} -eq 0 || " ${wanted[*]} " == *" $name "* ]] || return 0
  rm -rf "$work/mutant"
  cp -r "$work/base" "$work/mutant"
  sed -i -E "$expression" "$work/mutant/$file"
  if cmp -s "$work/base/$file" "$work/mutant/$file"; then
    echo "FAIL $name: the expression changes nothing in $file"
    failed=1
    return
  fi
  object=$work/mutant/${file%.cpp}.o
  if ! compile "$work/mutant" "$work/mutant/$file" "$object" 2>"$work/log"; then
    sed 's/^/  /' "$work/log" | head -n 5
    echo "FAIL $name: does not compile"
    failed=1
    return
  fi
  link "$work/sim" "$work"/mutant/{lld_srp,plugin_api,tests/fake,tests/sim}/*.o
  found=$(finds "$work/sim")
  if [[ -n $found ]]; then
    echo "PASS $name, found by $found"
  else
    echo "FAIL $name: not found, though $reason"
    failed=1
  fi
}

wanted=("$@")
build_base
found=$(link "$work/sim" "$work"/base/{lld_srp,plugin_api,tests/fake,tests/sim}/*.o && finds "$work/sim")
[[ -z $found ]] || echo "note: the driver itself fails: $found"

mutant retire_twice plugin_api/nexus.cpp \
  's/^  target_cmd_done\(&cmd\);/&\n  target_cmd_done(\&cmd);/' \
  'tgtd follows null links'
mutant answer_after_abort lld_srp/command.cpp \
  's/const bool answered = !aborted\(\) && /const bool answered = /' \
  'the initiator has used the tag again'
mutant memory_freed_before_fetched lld_srp/command.cpp \
  's/if \(channel_\.cancel\(fetch_\)\) end\(\);/(void)channel_.cancel(fetch_);\n      end();/' \
  'the device still writes into it'
mutant credit_lost_on_abort lld_srp/command.cpp \
  's/channel_\.credits\(\)\.earn\(\);  \/\/ announced.*/(void)0;/' \
  'the channel runs dry'
mutant residual_missing lld_srp/plan.cpp \
  's/^  if \(moved < offered\) return .*//' \
  'the initiator takes stale memory for data'
mutant receive_not_reposted lld_srp/command.cpp \
  's/^  channel_\.release\(\*receive_\);//' \
  'the initiator finds no receive'
mutant fence_removed lld_srp/session.cpp \
  's/return std::any_of\(predecessors_/return false \&\& std::any_of(predecessors_/' \
  'an old write follows a new one'
mutant executed_although_fetch_failed lld_srp/completion.cpp \
  's/SUCCESS\) \[\[unlikely\]\]/SUCCESS \&\& verbs::Work::of(wc).kind != verbs::WorkKind::fetch)/' \
  'garbage is written to the unit'
mutant stale_data_on_check_condition lld_srp/command.cpp \
  's/^  if \(status != good && status != condition_met\) return 0;.*//' \
  'data-in is what the buffer held before'
mutant nexus_destroyed_too_early lld_srp/target_port.cpp \
  's/if \(!\(\*it\)->done\(\)\)/if (!(*it)->draining())/' \
  'tgtd still holds its commands'
mutant buffer_not_zeroed lld_srp/command.cpp \
  's/if \(plan_\.zero_in\) std::memset/if (false) std::memset/' \
  'other initiators read what was in the memory before'
mutant order_ignored lld_srp/task_set.cpp \
  's/if \(barriers_ == 0 \|\| is_turn_of\(entry\)\)/if (true)/' \
  'a later command overtakes an ORDERED one'
mutant shared_receives_lost lld_srp/completion.cpp \
  's/flush \|\| channel\.failed\(\) \? channel\.give_up\(wcs\[i\]\) : /if (!flush \&\& !channel.failed()) /' \
  'the channels that share them run dry'
mutant two_tasks_in_tgtd plugin_api/nexus.cpp \
  's/if \(std::ranges::any_of\(pending_, same_unit\)\) return false;/(void)same_unit;/' \
  'tgtd forgets the first'
mutant table_fetched_as_a_whole lld_srp/command.cpp \
  's/table_rest_ = \{side\.table\.address \+ known_bytes,/table_rest_ = {side.table.address,/' \
  'descriptors are taken twice, and others never'
exit "$failed"
