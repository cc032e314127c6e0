#!/usr/bin/env bash
# benches/data.sh DATA OUT: makes problem files of the public instances in the folder DATA, for
# `dvms bench --problems OUT`. A folder of OUT is a row: btrplace-li, btrplace-nr, nutanix, schedule-*, vmr.
#
# DATA holds the bundles and their converters (btrplace.tar.xz, vmr_M.tar.xz, convert.py, convert_btrplace.py); where
# the instances come from and under which licences its README says. What is made here is not part of dvms. The program
# that reads the instances with links between switches (schedule-*) is $DVMS, or else `dvms` on the PATH.
set -euo pipefail
if [ $# != 2 ]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
data=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$out"/{btrplace-li,btrplace-nr,nutanix,vmr}
for kind in li nr; do
  for ratio in 3 4 5 6; do
    for share in 0 33 100; do
      name=$kind-r$ratio-c$share
      tar xJOf "$data/btrplace.tar.xz" "btrplace/tdsc/$kind/r$ratio/c$share.json" >"$work/instance.json"
      python3 "$data/convert_btrplace.py" "$work/instance.json" -o "$out/btrplace-$kind/$name.json"
    done
  done
done
tar xJf "$data/btrplace.tar.xz" -C "$work" btrplace/nutanix
for file in "$work"/btrplace/nutanix/*.json; do
  python3 "$data/convert_btrplace.py" "$file" -o "$out/nutanix/$(basename "$file")"
done
tar xJf "$data/btrplace.tar.xz" -C "$work" btrplace/scale
for folder in "$work"/btrplace/scale/*/*; do
  row=$out/schedule-$(basename "$(dirname "$folder")")-$(basename "$folder")
  mkdir -p "$row"
  for file in "$folder"/*.json; do
    "${DVMS:-dvms}" import btrplace "$file" >"$row/$(basename "$file")"
  done
done
tar xJf "$data/vmr_M.tar.xz" -C "$work"
snapshot=$(find "$work/vmr" -name '*.json' | head -n 1)
for moves in 10 25 50 100; do
  python3 "$data/convert.py" vmr "$snapshot" --moves "$moves" --out "$out/vmr/vmr-M-$moves-moves.json"
done
find "$out" -name '*.json' | sort
