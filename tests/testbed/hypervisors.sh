#!/usr/bin/env bash
# A private cloud on one machine: N real libvirtd hypervisors with QEMU guests (TCG, no KVM needed).
# Each hypervisor lives in its own mount, UTS, IPC, PID and network namespace; a bridge in one more
# namespace, the "cluster", joins them. The machine's own network and libvirt are never touched.
#
#   check                       can it run here? if not, say what is missing
#   up N [--while PID]          boot hv1..hvN at 10.77.0.1..N; with --while all of it goes down
#                               when process PID ends, however it ends
#   down                        end everything, remove the state (built guests stay)
#   uri I                       libvirt URI of hypervisor I for this side (unix socket)
#   peer-uri I                  libvirt URI of hypervisor I for other hypervisors (TCP)
#   on I CMD..                  run CMD inside hypervisor I, where qemu:///system is its libvirtd
#   net-on I CMD..              run CMD here, but with the network of hypervisor I
#   exec CMD..                  run CMD in the cluster namespace, as 10.77.0.254
# Guests (NAME is unique in the test bed, KIND is nano or linux, see README.md)
#   create I NAME KIND MIB [CMDLINE]    start a transient VM on hypervisor I
#   define I NAME KIND MIB [CMDLINE]    define a persistent VM there and start it
#   where NAME                  the hypervisors on which NAME runs, one a line
#   load NAME PERCENT           make a running nano guest use PERCENT (0..95) of its vCPU
#   dirty NAME PAGES [MIB]      make it rewrite PAGES pages per 10 ms [in a window of MIB]
#   heartbeat NAME              heartbeats per hypervisor; fails on a lost or doubled one
# Faults
#   libvirtd I start|stop|kill|hang|resume    the daemon alone; its VMs run on
#   crash I                     the whole hypervisor dies, libvirtd and VMs
#   boot I                      start it again after a crash; definitions are kept
#   net I up|down               cut its network, or mend it
#   part I..                    cut these off from all others, not from each other
#   join                        mend that
#   swallow I J on|off          packets from hypervisor I to J vanish without an answer
#   mem I KIB                   make hypervisor I report KIB of memory, until its next boot
#
# DVMS_TESTBED  state directory, one per test bed (default ${TMPDIR:-/tmp}/dvms-testbed-$UID)
# HV_NET        first three octets of the private network (default 10.77.0)
set -euo pipefail
export DVMS_TESTBED HV_NET
DVMS_TESTBED=$(realpath -m "${DVMS_TESTBED:-${TMPDIR:-/tmp}/dvms-testbed-$UID}")
HV_NET=${HV_NET:-10.77.0}
HV=$DVMS_TESTBED/hv
SELF=$(readlink -f "$0")
HERE=$(dirname "$SELF")

die() { echo "hypervisors.sh: $*" >&2; exit 1; }
usage() { awk 'NR > 1 { if (!sub(/^# ?/, "")) exit; print }' "$SELF"; exit 2; }
# shellcheck source=lib/namespaces.sh
. "$HERE/lib/namespaces.sh"
# shellcheck source=lib/daemon.sh
. "$HERE/lib/daemon.sh"
# shellcheck source=lib/guests.sh
. "$HERE/lib/guests.sh"
# shellcheck source=lib/faults.sh
. "$HERE/lib/faults.sh"

check() {
  local c missing=()
  [ "$UID" = 0 ] || die "cannot run here: needs root"
  for c in libvirtd virsh qemu-system-x86_64 ip nsenter unshare setsid gcc; do
    command -v "$c" >/dev/null || missing+=("$c")
  done
  [ ${#missing[@]} = 0 ] || die "cannot run here: missing ${missing[*]}"
  unshare --mount --uts --ipc --net --pid --fork true || die "cannot run here: namespaces are not permitted"
}

up() { # N [PID]
  local n=$1 i socket=$HV/hv$1/run/libvirt-sock
  check
  mkdir -p -m 711 "$DVMS_TESTBED"
  [ -O "$DVMS_TESTBED" ] || die "$DVMS_TESTBED belongs to another user"
  [ ${#socket} -lt 108 ] || die "$DVMS_TESTBED: path too long for a unix socket"
  mkdir -m 700 "$HV" 2>/dev/null || die "$HV exists: already up? (down removes it)"
  [ -z "${2:-}" ] || watch_owner "$2"
  start_init cluster
  for i in $(seq "$n"); do configure "$i"; boot "$i"; done
  for i in $(seq "$n"); do wait_libvirtd "$i"; done
}

down() {
  local d
  for d in "$HV"/*/; do [ ! -d "$d" ] || stop_init "$(basename "$d")"; done
  rm -rf "$HV"
}

verb=${1:-}
[ $# = 0 ] || shift
case $verb in
check) check ;;
up)
  [ $# = 1 ] || { [ $# = 3 ] && [ "$2" = --while ]; } || usage
  up "$1" "${3:-}" ;;
down) down ;;
uri) uri "${1:?which hypervisor?}" ;;
peer-uri) peer_uri "${1:?which hypervisor?}" ;;
on) enter "hv${1:?which hypervisor?}" "${@:2}" ;;
net-on) nsenter -t "$(pid_of "hv${1:?which hypervisor?}")" -n -- "${@:2}" ;;
exec) enter cluster "$@" ;;
create | define) [ $# -ge 4 ] || usage; "${verb}_guest" "$@" ;;
where) where "${1:?which guest?}" ;;
load) type_into "${1:?which guest?}" c "${2:?how many percent?}" ;;
dirty)
  [ -z "${3:-}" ] || type_into "$1" d "$3"
  type_into "${1:?which guest?}" r "${2:?how many pages?}" ;;
heartbeat) heartbeat "${1:?which guest?}" ;;
libvirtd) daemon_fault "${1:?which hypervisor?}" "${2:-}" ;;
crash) crash "${1:?which hypervisor?}" ;;
boot) boot "${1:?which hypervisor?}"; wait_libvirtd "$1" ;;
net) enter cluster ip link set "v${1:?which hypervisor?}" "${2:?up or down?}" ;;
part) [ $# -ge 1 ] || usage; part "$@" ;;
join) join ;;
swallow) [ $# = 3 ] || usage; swallow "$@" ;;
mem) report_memory "${1:?which hypervisor?}" "${2:?how many KiB?}" ;;
_init) run_init "$1" ;;
_watch) watch "$1" ;;
*) usage ;;
esac
