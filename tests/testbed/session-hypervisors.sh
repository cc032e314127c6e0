#!/usr/bin/env bash
# N libvirtd session daemons on loopback: real live migration without root and without namespaces, but no
# network faults, no host crash and no post-copy. Run by root they take the rights of DVMS_TESTBED_USER
# (default nobody), as root's libvirtd is never a session daemon.
#
#   up N        start daemons 1..N (N <= 9)
#   down        end their VMs and them, remove the state
#   uri I       libvirt URI of daemon I (unix socket)
#   peer-uri I  libvirt URI of daemon I for another daemon (port 1661I)
#   serial      directory for serial files (SERIAL_DIR of vm.sh)
#   migrate NAME I J [virsh migrate option..]   live, peer to peer
#
# DVMS_TESTBED  state directory, one per test bed (default ${TMPDIR:-/tmp}/dvms-testbed-$UID)
set -euo pipefail
DVMS_TESTBED=$(realpath -m "${DVMS_TESTBED:-${TMPDIR:-/tmp}/dvms-testbed-$UID}")
S=$DVMS_TESTBED/session
PATH=$PATH:/usr/sbin:/sbin
die() { echo "session-hypervisors.sh: $*" >&2; exit 1; }

as_user=()
if [ "$UID" = 0 ]; then
  user=${DVMS_TESTBED_USER:-nobody}
  as_user=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
fi

uri() { echo "qemu+unix:///session?socket=$S/$1/run/libvirt/libvirt-sock"; }
peer_uri() { echo "qemu+tcp://127.0.0.1:1661$1/session"; }

start() { # I
  local d=$S/$1
  mkdir -p "$d"/{run,conf/libvirt,cache,data}
  cat >"$d/libvirtd.conf" <<C
listen_tls = 0
listen_tcp = 1
listen_addr = "127.0.0.1"
tcp_port = "1661$1"
auth_tcp = "none"
auth_unix_rw = "none"
host_uuid = "77000000-0000-4000-8000-00000000010$1"
keepalive_interval = 2
keepalive_count = 3
log_outputs = "2:file:$d/libvirtd.log"
C
  cat >"$d/conf/libvirt/qemu.conf" <<C
stdio_handler = "file"
migration_port_min = $((49000 + $1 * 100))
migration_port_max = $((49063 + $1 * 100))
keepalive_interval = 2
keepalive_count = 3
C
  [ "$UID" != 0 ] || chown -R "$user" "$d"
  "${as_user[@]}" env -i PATH="$PATH" HOME="$d" XDG_RUNTIME_DIR="$d/run" \
    XDG_CONFIG_HOME="$d/conf" XDG_CACHE_HOME="$d/cache" XDG_DATA_HOME="$d/data" \
    libvirtd --daemon --listen --timeout 0 --config "$d/libvirtd.conf" --pid-file "$d/run/pid"
}

stop() { # PIDFILE WORD: kill the process, if its command line has WORD (pids are reused)
  local p
  p=$(cat "$1")
  if { tr '\0' ' ' <"/proc/$p/cmdline" | grep -qF "$2"; } 2>/dev/null; then kill -9 "$p"; fi
}

case ${1:-} in
up)
  n=${2:?how many daemons?}
  for c in libvirtd virsh qemu-system-x86_64 setpriv gcc; do
    command -v $c >/dev/null || die "cannot run here: missing $c"
  done
  mkdir -p -m 711 "$DVMS_TESTBED"
  [ -O "$DVMS_TESTBED" ] || die "$DVMS_TESTBED belongs to another user"
  mkdir -m 711 "$S" 2>/dev/null || die "$S exists: already up? (down removes it)"
  mkdir -m 1777 "$S/serial"
  for i in $(seq "$n"); do start "$i"; done
  for i in $(seq "$n"); do
    for _ in $(seq 100); do virsh -q -c "$(uri "$i")" hostname >/dev/null 2>&1 && continue 2; sleep 0.05; done
    die "daemon $i did not come up, see $S/$i/libvirtd.log"
  done ;;
down)
  for f in "$S"/*/run/libvirt/qemu/run/*.pid; do [ ! -e "$f" ] || stop "$f" "$S/"; done
  for f in "$S"/*/run/pid; do [ ! -e "$f" ] || stop "$f" "$S/"; done
  rm -rf "$S" ;;
uri) uri "${2:?which?}" ;;
peer-uri) peer_uri "${2:?which?}" ;;
serial) echo "$S/serial" ;;
migrate)
  # Without an address of its own the destination would listen on all of the machine's.
  virsh -q -c "$(uri "$3")" migrate "$2" "$(peer_uri "$4")" --live --p2p \
    --listen-address 127.0.0.1 --migrateuri tcp://127.0.0.1 "${@:5}" ;;
*) awk 'NR > 1 { if (!sub(/^# ?/, "")) exit; print }' "$0"; exit 2 ;;
esac
