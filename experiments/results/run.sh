#!/bin/sh
# Does the experiments again whose data is kept here: one part for each seed and size or load, so that what is done stays when it is interrupted.
# Usage: sh experiments/results/run.sh [DVMS [EXPERIMENT...]]; DVMS is the binary (optimised), EXPERIMENT the name of a file in
# experiments (default: those that need no traces, but for beyond); SEEDS says which seeds (default: those of the file), TRACES where
# the traces are that an experiment needs. What was interrupted goes on after the last part that was done (EXPERIMENT.csv.done says which are); else all is
# done anew.
set -eu
cd "$(dirname "$0")/../.."
dvms=${1:-target/release/dvms}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- calibration flash-crowd wan rack chapter7 vmplaces vmplaces-load vmplaces-faults vmplaces-parts chapter8 chapter8-pack
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What is kept of each run, besides what varies.
keep='name|complete|violations\.all\.(count|total|mean|sd)|violations\.to_detect\.mean|violations\.settling\.mean'
keep="$keep|rounds\.plan\.(count|mean)|rounds\.partition\.mean|migrations\.done\.(count|mean)|migrations\.(failed|ping_pong)"
keep="$keep|usage\.(active_hosts|energy_kwh|lost_vm_s)|traffic\.(messages_per_host_s|busiest_messages)"
keep="$keep|fairness\.(hosts_load|vms_lack|lack_core_s)|memory\.(busiest_bytes|mean_bytes)"

part() { # experiment, then what it is at
    name=$1
    shift
    told=$*
    [ "$told" = 'all of it' ] && set --
    at=
    for it in "$@"; do at="$at --at $it"; done
    # shellcheck disable=SC2086 # Words on purpose.
    nice "$dvms" simulate "experiments/$name.toml" $at ${TRACES:+--traces "$TRACES"} --report "$work/part.html" --output json \
        > "$work/part.json"
    awk -F, -v OFS=, -v keep="^($keep$more)\$" '
        NR == 1 { varied = 1
            for (i = 1; i <= NF; i++) { if ($i == "name") varied = 0; if (varied || $i ~ keep) want[++n] = i } }
        { for (i = 1; i <= n; i++) printf "%s%s", $want[i], i < n ? OFS : ORS }' "$work/part.csv" > "$work/kept.csv"
    if [ -s "$out" ]; then tail -n +2 "$work/kept.csv" >> "$out"; else cp "$work/kept.csv" "$out"; fi
    echo "$told" >> "$out.done"
}

for experiment in "$@"; do
    out=experiments/results/$experiment.csv
    [ -s "$out" ] && [ -s "$out.done" ] || rm -f "$out" "$out.done"
    touch "$out.done"
    seeds=${SEEDS:-23 1 2 3 4 5 6 7 8 9}
    more=
    case $experiment in
        vmplaces-load) setting=load.mean; values='41.1 48.9 56.7 60.6 64.6 67' ;;
        vmplaces-parts) setting=all; values=all ;;
        chapter8) setting=hosts.count; values='512 1024 2048 4096 8192'; seeds=none ;;
        chapter8-pack) setting=hosts.count; values='512 1024'; seeds=none ;;
        vmplaces | vmplaces-faults) setting=hosts.count; values='128 256 512 1024' ;;
        *) setting=all; values=all; seeds=none; more='|esv|slav|pdm|usage\.slatah' ;;
    esac
    for seed in $seeds; do
        for value in $values; do
            where=
            [ "$value" = all ] || where=$setting=$value
            [ "$seed" = none ] || where="$where${where:+ }seed=$seed"
            where=${where:-all of it}
            # shellcheck disable=SC2086
            grep -qx "$where" "$out.done" || part "$experiment" $where
        done
    done
    rm -f "$out.done"
done
