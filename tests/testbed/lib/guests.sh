# shellcheck shell=bash
# Guests: start, find, load on demand, judge their heartbeats. Sourced by hypervisors.sh.

create_guest() { "$HERE/vm.sh" "${@:2}" | virsh -q -c "$(uri "$1")" create /dev/stdin; }
define_guest() {
  "$HERE/vm.sh" "${@:2}" | virsh -q -c "$(uri "$1")" define /dev/stdin
  virsh -q -c "$(uri "$1")" start "$2"
}

where() { # NAME
  local d i
  for d in "$HV"/hv*/; do
    i=$(basename "$d")
    i=${i#hv}
    [ ! -S "$d/run/libvirt-sock" ] ||
      [ "$(timeout 5 virsh -q -c "$(uri "$i")" domstate "$1" 2>/dev/null)" != running ] || echo "$i"
  done
}

# The nano guest listens to its keyboard: a letter, digits, Enter. Keys reach it on whatever host it is,
# and need no device that would have to exist on both hosts of a migration. While a migration runs,
# libvirt holds them back until its end.
type_into() { # NAME LETTER NUMBER
  local name=$1 letter=${2^^} number=$3 i keys="" before c
  [[ $number =~ ^[0-9]{1,5}$ ]] || die "$number: not a number of at most five digits"
  i=$(where "$name")
  [ -n "$i" ] || die "$name runs nowhere"
  [ "$(wc -l <<<"$i")" = 1 ] || die "$name runs on more than one hypervisor"
  before=$(answers "$name" "$2")
  for c in "$letter" $(grep -o . <<<"$number") ENTER; do keys+="send-key $name --holdtime 20 KEY_$c;"; done
  virsh -q -c "$(uri "$i")" "$keys" >/dev/null
  for _ in $(seq 100); do
    [ "$(answers "$name" "$2")" = "$before" ] || return 0
    sleep 0.05
  done
  die "$name on hv$i did not take $2=$number (only nano guests listen)"
}
answers() { cat "$HV"/hv*/log/"$1".serial 2>/dev/null | grep -c "^set $2=" || true; } # NAME LETTER

heartbeat() { # NAME: over all hypervisors each of 1, 2, .. last must have been printed exactly once
  awk '$1 == "hb" && $2 ~ /^[0-9]+\r?$/ {
      n = $2 + 0; h = FILENAME; sub(".*/hv", "hv", h); sub("/.*", "", h)
      if (!(h in first)) first[h] = n
      last[h] = n; seen[n]++; if (n > max) max = n }
    END {
      for (h in first) print h, first[h] ".." last[h] | "sort"; close("sort")
      for (i = 1; i <= max; i++) if (seen[i] != 1) { print "hb", i, "printed", seen[i] + 0, "times"; bad = 1 }
      exit bad || !max }' "$HV"/hv*/log/"$1".serial
}
