# shellcheck shell=bash
# libvirtd of one hypervisor: configuration, start, the wire into the bridge. Sourced by hypervisors.sh.

uri() { echo "qemu+unix:///system?socket=$HV/hv$1/run/libvirt-sock"; }
peer_uri() { echo "qemu+tcp://$HV_NET.$1/system"; }

# Every line is needed:
# - auth_unix_*: without polkit; host_uuid: libvirt refuses to migrate between hosts of one UUID;
# - keepalive_*: a dead peer is noticed after 6 to 8 s; stdio_handler: without virtlogd;
# - the rest of qemu.conf lets QEMU run as plain root without cgroups, labels and device namespaces,
#   and puts the migration data on the private network.
configure() { # I
  local d=$HV/hv$1
  mkdir -p "$d"/{etc/qemu,run,lib,log,cache}
  cat >"$d/etc/libvirtd.conf" <<C
listen_tls = 0
listen_tcp = 1
listen_addr = "$HV_NET.$1"
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0770"
host_uuid = "$(printf '77000000-0000-4000-8000-%012d' "$1")"
keepalive_interval = 2
keepalive_count = 3
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
C
  cat >"$d/etc/qemu.conf" <<C
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
migration_address = "$HV_NET.$1"
migration_host = "$HV_NET.$1"
keepalive_interval = 2
keepalive_count = 3
C
}

start_libvirtd() { # I. Listens by itself, not through a socket unit, and never leaves when idle.
  enter "hv$1" libvirtd --daemon --listen --timeout 0 \
    --pid-file /run/libvirt/libvirtd.pid --config /etc/libvirt/libvirtd.conf
}

wait_libvirtd() { # I
  for _ in $(seq 200); do
    enter "hv$1" virsh -q -c qemu:///system hostname >/dev/null 2>&1 && return
    sleep 0.05
  done
  die "hv$1: libvirtd did not come up, see $HV/hv$1/log"
}

boot() { # I
  local p c
  [ ! -e "$HV/hv$1/pid" ] || die "hv$1 is running"
  [ -d "$HV/hv$1" ] || die "hv$1 does not exist"
  start_init "hv$1"
  p=$(pid_of "hv$1")
  c=$(pid_of cluster)
  nsenter -t "$c" -n ip link add "v$1" type veth peer name eth0 netns "$p"
  nsenter -t "$c" -n ip link set "v$1" master br0 up
  nsenter -t "$p" -n ip addr add "$HV_NET.$1/24" dev eth0
  nsenter -t "$p" -n ip link set eth0 up
  start_libvirtd "$1"
}
