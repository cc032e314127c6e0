#!/bin/sh
# Does experiment 3 again: one part for each seed and size or load, so that what is done stays when it is interrupted.
# Usage: sh experiments/results/run.sh [DVMS [EXPERIMENT...]]; DVMS is the binary (optimised), EXPERIMENT vmplaces,
# vmplaces-load or vmplaces-faults (default: all). What was interrupted goes on after
# the last part that was done (EXPERIMENT.csv.done says which are); else all is done anew.
set -eu
cd "$(dirname "$0")/../.."
dvms=${1:-target/release/dvms}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- vmplaces vmplaces-load vmplaces-faults
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What is kept of each run, besides what varies.
keep='name|complete|violations\.all\.(count|total|mean|sd)|violations\.to_detect\.mean|violations\.settling\.mean'
keep="$keep|rounds\.plan\.(count|mean)|rounds\.partition\.mean|migrations\.done\.(count|mean)|migrations\.(failed|ping_pong)"
keep="$keep|usage\.(energy_kwh|lost_vm_s)|traffic\.(messages_per_host_s|busiest_messages)"
keep="$keep|fairness\.(hosts_load|vms_lack|lack_core_s)|memory\.(busiest_bytes|mean_bytes)"

part() { # experiment, --at A, --at B
    nice "$dvms" simulate "experiments/$1.toml" --at "$2" --at "$3" --report "$work/part.html" --output json \
        > "$work/part.json"
    awk -F, -v OFS=, -v keep="^($keep)\$" '
        NR == 1 { varied = 1
            for (i = 1; i <= NF; i++) { if ($i == "name") varied = 0; if (varied || $i ~ keep) want[++n] = i } }
        { for (i = 1; i <= n; i++) printf "%s%s", $want[i], i < n ? OFS : ORS }' "$work/part.csv" > "$work/kept.csv"
    if [ -s "$out" ]; then tail -n +2 "$work/kept.csv" >> "$out"; else cp "$work/kept.csv" "$out"; fi
    echo "$2 $3" >> "$out.done"
}

for experiment in "$@"; do
    out=experiments/results/$experiment.csv
    [ -s "$out" ] && [ -s "$out.done" ] || rm -f "$out" "$out.done"
    touch "$out.done"
    case $experiment in
        vmplaces-load) setting=load.mean; values='41.1 48.9 56.7 60.6 64.6 67' ;;
        *) setting=hosts.count; values='128 256 512 1024' ;;
    esac
    for seed in 23 1 2 3 4; do
        for value in $values; do
            grep -qx "$setting=$value seed=$seed" "$out.done" || part "$experiment" "$setting=$value" "seed=$seed"
        done
    done
    rm -f "$out.done"
done
