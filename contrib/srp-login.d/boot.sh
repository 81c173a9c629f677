# shellcheck shell=bash disable=SC2154  # srp-login, which sources this, sets the variables
# What is kept of logins, so that they are made again when the host starts: a file for each, and a service for each.

service() { say "srp-login@$1.service"; }
has_systemd() { [[ -d /run/systemd/system ]]; }

# names: of all that is kept.
names() {
  local file
  for file in "$config_dir"/*.conf; do
    file=${file##*/}
    say "${file%.conf}"
  done
}

# load NAME: into option.
load() {
  context=$config_dir/$1.conf
  [[ -r $context ]] || die 3 "there is no such file, or it is not yours to read: see ls $config_dir"
  parse "$(while read -r line; do [[ $line == \#* ]] || say "$line"; done <"$context")"
}

# Names as a unit and a file can have them.
make_name() {
  local to=${option[dest]-${option[dgid]-}-${option[pkey]-}} name
  [[ -z ${option[dest]-} ]] || to=${to%:*}-${to##*:}
  name=${option[id_ext]}-$to${option[device]:+-${option[device]}}${option[initiator_ext]:+-${option[initiator_ext]}}
  name=${name//[\[\]]/}
  say "${name//[^A-Za-z0-9:_.-]/-}"
}

# kept_as HOST: the name that the session is kept by; empty if none. A file that cannot be read is start's business.
kept_as() {
  local name
  for name in $(names); do
    (load "$name" && is_session "$1") 2>/dev/null || continue
    say "$name"
    return
  done
}

# kept_matching SELECTOR: names.
kept_matching() {
  local name host
  for name in $(names); do
    if [[ $name == "$1" ]] || (load "$name" && names_target "$1") 2>/dev/null; then say "$name"; fi
  done
  for host in $(matching "$1"); do kept_as "$host"; done
}

names_target() {
  [[ ${1#0x} == "${option[id_ext]}" || $1 == "${option[dest]-}" || $1 == "$(address "${option[dest]-}")" ]]
}

# enable: keep option.
enable() {
  local name
  need_root
  name=$(make_name)
  mkdir -p "$config_dir"
  # Nobody sees half of it, and nobody but root any of it.
  (umask 077 && printf '# Written by srp-login enable; see srp-login(8).\n%s\n' "$(kept_string)" >"$config_dir/.$name")
  mv "$config_dir/.$name" "$config_dir/$name.conf"
  say "kept: $config_dir/$name.conf"
  if ! has_systemd; then
    say "there is no systemd here: have srp-login start --all run at each boot, once the network is there"
  elif ! systemctl cat "$(service "$name")" >/dev/null 2>&1; then
    die 5 "systemd has no srp-login@.service: install it (cmake --install build), then systemctl enable --now" \
      "$(service "$name")"
  else
    systemctl --quiet enable "$(service "$name")"
    systemctl start "$(service "$name")" ||
      die 1 "enabled, but not logged in: it is tried again every 10 s; systemctl status $(service "$name") says why"
    say "enabled: $(service "$name")"
  fi
}

# disable SELECTOR
disable() {
  local name found=
  need_root
  for name in $(kept_matching "$1" | sort -u); do
    found=1
    if has_systemd; then systemctl --quiet disable "$(service "$name")" || warn "$(service "$name") is not disabled"; fi
    rm "$config_dir/$name.conf"
    say "no longer kept: $name; its session stays until srp-login logout or the host's end"
  done
  [[ -n $found ]] || die 3 "nothing that is kept matches '$1'; there is: $(names | paste -sd " ")"
}

# start NAME
start() {
  load "$1"
  log_in
}

# stop NAME
stop() {
  local host found=()
  [[ -e $config_dir/$1.conf ]] || { say "$1 is no longer kept: its session is left alone" && return; }
  load "$1"
  for host in $(hosts); do if is_session "$host"; then found+=("$host"); fi; done
  [[ -n ${found-} ]] || { say "not logged in: $1" && return; }
  log_out "${found[@]}"
}
