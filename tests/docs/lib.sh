# shellcheck shell=bash
# Sourced, from the root of the checkout: the documented commands, and which of them are not tried.

manual_pages() { compgen -G 'build/conf/*.[1-9]'; compgen -G 'build/contrib/*.[1-9]'; }

# documented: "FILE:LINE<TAB>COMMAND" for each command, in the order of the README, then of the manual pages. One that
# is repeated is named by its first place.
documented() {
  local -a pages
  mapfile -t pages < <(manual_pages)
  tests/docs/commands README.md "${pages[@]}" | awk -F '\t' '!seen[$2]++'
}

# exceptions: the patterns of tests/docs/exceptions.
exceptions() { sed -n 's/ *\t*# .*//; /./p' tests/docs/exceptions; }

# exception_for COMMAND: print the pattern that it is excepted by, or fail.
exception_for() {
  local pattern
  while IFS= read -r pattern; do
    # shellcheck disable=SC2053  # a pattern is wanted
    if [[ $1 == $pattern ]]; then
      echo "$pattern"
      return
    fi
  done < <(exceptions)
  return 1
}

# tried: the documented commands without exceptions.
tried() {
  local place command
  while IFS=$'\t' read -r place command; do
    exception_for "$command" >/dev/null || printf '%s\t%s\n' "$place" "$command"
  done < <(documented)
}
