# shellcheck shell=bash
# What can go wrong on a real infrastructure, on demand. Sourced by hypervisors.sh.

signal_libvirtd() { enter "hv$1" bash -c "kill -$2 \$(cat /run/libvirt/libvirtd.pid)"; } # I SIGNAL

daemon_fault() { # I start|stop|kill|hang|resume
  case $2 in
  start) start_libvirtd "$1"; wait_libvirtd "$1" ;;
  stop) signal_libvirtd "$1" TERM ;;
  kill) signal_libvirtd "$1" KILL ;;
  hang) signal_libvirtd "$1" STOP ;; # still accepts TCP, answers nothing
  resume) signal_libvirtd "$1" CONT ;;
  *) usage ;;
  esac
}

crash() { # I. Its sockets are closed; for a silent power loss cut the network first.
  pid_of "hv$1" >/dev/null
  stop_init "hv$1"
  enter cluster ip link del "v$1" 2>/dev/null || true
  rm -rf "$HV/hv$1/run"
  mkdir "$HV/hv$1/run"
}

part() { # I..: they are joined by a bridge of their own
  local i
  enter cluster ip link show br1 >/dev/null 2>&1 || enter cluster ip link add br1 type bridge
  enter cluster ip link set br1 up
  for i in "$@"; do enter cluster ip link set "v$i" master br1; done
}

join() { # what was parted is on one network again
  # shellcheck disable=SC2016 # for the shell inside
  enter cluster bash -c 'for port in /sys/class/net/br1/brif/*; do ip link set "${port##*/}" master br0; done'
}

swallow() { # I J on|off: a wrong neighbour entry sends the packets to nobody
  case $3 in
  on) enter "hv$1" ip neigh replace "$HV_NET.$2" lladdr 02:00:00:00:00:99 dev eth0 nud permanent ;;
  off) enter "hv$1" ip neigh del "$HV_NET.$2" dev eth0 ;;
  *) usage ;;
  esac
}

report_memory() { # I KIB: lay changed copies over the files that libvirt reads
  local f copy
  pid_of "hv$1" >/dev/null
  for f in /proc/meminfo /sys/devices/system/node/node0/meminfo; do
    copy=$HV/hv$1/${f//\//_}
    awk -v kib="$2" \
      '/MemTotal:/ || (/Mem(Free|Available):/ && $(NF-1) + 0 > kib + 0) { $(NF-1) = kib } 1' "$f" >"$copy"
    enter "hv$1" mount --bind "$copy" "$f"
  done
}
