# shellcheck shell=bash disable=SC2154  # srp-login, which sources this, sets the variables
# Login strings: what the target shows and the administrator adds.

# What the driver takes, and what values: hex:DIGITS, number:LEAST-MOST, or a kind of its own. device is ours.
declare -A kinds=(
  [id_ext]=hex:16 [ioc_guid]=hex:16 [initiator_ext]=hex:16 [service_id]=hex:16 [dgid]=hex:32 [pkey]=hex:4
  [dest]=destination [src]=source [device]=port [io_class]=class
  [cmd_sg_entries]=number:1-255 [allow_ext_sg]=number:0-1 [sg_tablesize]=number:1-2048
  [queue_size]=number:1-65535 [max_cmd_per_lun]=number:1-65535 [target_can_queue]=number:1-65535
  [max_sect]=number:1-65535 [max_it_iu_size]=number:0-65535 [tl_retry_count]=number:2-7
  [ch_count]=number:1-1024 [comp_vector]=number:0-1024
)
declare -A option=()   # the string at hand, by key

ipv4_form='[0-9]{1,3}(\.[0-9]{1,3}){3}'
ipv6_form='\[[0-9a-fA-F:.]+(%[A-Za-z0-9_.:-]+)?\]'

# check KEY VALUE: is it one that the driver can read?
check() {
  local key=$1 value=$2 kind=${kinds[$1]} form is
  case $kind in
    hex:*) form="[0-9a-f]{${kind#*:}}" is="${kind#*:} hexadecimal digits" ;;
    number:*) form='[0-9]{1,5}' is="a number from ${kind#*:}" ;;
    destination) form="($ipv4_form|$ipv6_form):[0-9]{1,5}" is='ADDRESS:PORT, as 10.0.0.1:5000 or [fd00::1]:5000' ;;
    source) form="($ipv4_form|$ipv6_form)(:[0-9]{1,5})?" is='an ADDRESS, as 10.0.0.1 or [fd00::1]' ;;
    port) form='[A-Za-z0-9_.-]+/[0-9]{1,3}' is='DEVICE/PORT, as mlx5_0/1' ;;
    class) form='(0100|ff00)' is='0100 or ff00' ;;
  esac
  [[ $value =~ ^$form$ ]] || die 2 "$key=$value: $key is ${is/-/ to }"
  [[ $kind != number:* ]] || in_range "$value" "${kind#*:}" || die 2 "$key=$value: $key is ${is/-/ to }"
  [[ $value != '[fe80:'* || $value == *%* ]] ||
    die 2 "$key=$value: a link-local address needs its interface on this host, as in [fe80::1%eth0]"
}

in_range() { ((10#$1 >= ${2%-*} && 10#$1 <= ${2#*-})); }

# parse TEXT...: into option.
parse() {
  local text=${*##*([[:space:]])?(Login:)} words word key value
  option=()
  IFS=', ' read -ra words <<<"${text//[[:space:]]/ }"
  for word in ${words[@]+"${words[@]}"}; do
    key=${word%%=*} value=${word#*=}
    [[ $word == *=* ]] || usage "'$word' is not KEY=VALUE: paste the whole line that the target shows"
    [[ -n ${kinds[$key]-} ]] ||
      usage "unknown option '$key' in $word; there are: $(sorted "${!kinds[@]}" | paste -sd ' ')"
    [[ ${kinds[$key]} != hex:* ]] || { value=${value,,} && value=${value#0x}; }
    [[ -z ${option[$key]-} ]] || usage "$key is given twice: ${option[$key]}, $value"
    check "$key" "$value"
    option[$key]=$value
  done
  complete
}

sorted() { printf '%s\n' "$@" | sort; }

# A target is named by three things, or five in InfiniBand without IP, where no route tells the port.
complete() {
  local key
  for key in id_ext ioc_guid dest; do
    [[ -z ${option[$key]-} ]] || continue
    [[ $key != dest || -z ${option[dgid]-} ]] || break
    usage "the login string has no $key=: paste the whole line that the target shows"
  done
  [[ -z ${option[dest]-} ]] || return 0
  for key in pkey service_id device; do
    [[ -n ${option[$key]-} ]] || usage "a login by dgid= needs $key= too"
  done
}

# The string as the driver takes it; the same as we keep it has its device.
driver_string() {
  local key text="id_ext=${option[id_ext]},ioc_guid=${option[ioc_guid]}"
  for key in $(sorted "${!option[@]}"); do
    [[ $key == @(id_ext|ioc_guid|device) ]] || text+=,$key=${option[$key]}
  done
  say "$text"
}

kept_string() { say "$(driver_string)${option[device]:+,device=${option[device]}}"; }

# address DESTINATION: without port, brackets and scope.
address() {
  local text=$1
  [[ $text != *']'* ]] || text=${text%]*}
  [[ $1 == *']'* ]] || text=${text%:*}
  text=${text#[}
  say "${text%\%*}"
}

scope() {
  local text=${1%]*}
  [[ $text != *%* ]] || say "${text##*%}"
}
