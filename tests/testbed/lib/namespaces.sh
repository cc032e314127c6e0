# shellcheck shell=bash
# Namespaces and their init processes. Sourced by hypervisors.sh.

pid_of() { cat "$HV/$1/pid" 2>/dev/null || die "$1 is not running"; } # init of NAME, seen from outside

enter() { # NAME CMD..: run CMD inside
  local p
  p=$(pid_of "$1")
  shift
  nsenter -t "$p" -m -u -i -n -p --wd="$PWD" -- "$@"
}

is_init() { # PID NAME: pids are reused, so look at the command line before believing a pid file
  { tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF " _init $HV/$2 "; } 2>/dev/null
}

start_init() { # NAME: new namespaces; the pid of their init goes to NAME/pid
  local name=$1 parent p=""
  mkdir -p "$HV/$name"
  rm -f "$HV/$name"/{pid,ready}
  setsid unshare --mount --uts --ipc --net --pid --fork --kill-child --mount-proc \
    bash "$SELF" _init "$HV/$name" </dev/null >>"$HV/$name/init.log" 2>&1 &
  parent=$!
  for _ in $(seq 500); do
    p=$(cat "/proc/$parent/task/$parent/children" 2>/dev/null || true)
    [ -n "$p" ] && [ -e "$HV/$name/ready" ] && break
    sleep 0.02
  done
  [ -e "$HV/$name/ready" ] || die "$name: the namespace did not start, see $HV/$name/init.log"
  echo "${p%% *}" >"$HV/$name/pid"
}

stop_init() { # NAME: killing the init ends every process inside at once
  local p
  p=$(cat "$HV/$1/pid" 2>/dev/null) || return 0
  if is_init "$p" "$1"; then
    kill -9 "$p"
    for _ in $(seq 250); do is_init "$p" "$1" || break; sleep 0.02; done
  fi
  rm -f "$HV/$1/pid"
}

run_init() { # DIRECTORY: what the init of this namespace does, as pid 1 inside
  local d=$1 name=${1##*/} x
  mount --make-rprivate /
  mount -t sysfs none /sys
  ip link set lo up
  if [ "$name" = cluster ]; then
    ip link add br0 type bridge
    ip addr add "$HV_NET.254/24" dev br0
    ip link set br0 up
  else
    hostname "$name"
    mkdir -p /run/libvirt
    mount --bind "$d/etc" /etc/libvirt
    mount --bind "$d/run" /run/libvirt
    for x in lib log cache; do mkdir -p "/var/$x/libvirt"; mount --bind "$d/$x" "/var/$x/libvirt"; done
  fi
  touch "$d/ready"
  trap 'exit 0' TERM
  # bash, not sleep, is pid 1: it reaps orphans. A dead QEMU that stays a zombie is alive to libvirt.
  while :; do sleep 1000 & wait $! || true; done
}

watch_owner() { # PID: take the test bed down when PID ends, even when it is killed
  kill -0 "$1" 2>/dev/null || die "--while $1: no such process"
  setsid bash "$SELF" _watch "$1" </dev/null >/dev/null 2>&1 &
}
watch() { # PID. Ends by itself after a `down`.
  while kill -0 "$1" 2>/dev/null; do
    [ -d "$HV" ] || return 0
    sleep 0.5
  done
  down
}
