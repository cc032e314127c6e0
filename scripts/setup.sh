#!/usr/bin/env bash
# scripts/setup.sh GROUP...   installs what the groups need and this machine lacks:
#   build   the dvms binary: compilers and tools for the MILP solver HiGHS, which is built from source
#   agent   the dvms-agent binary: libvirt's headers
#   test    real hypervisors for the end-to-end tests and `make demo-libvirt`
#
# Looks for the things themselves (commands, headers, libraries), not for package names. Silent when nothing
# is missing. Otherwise says what it installs and why, through apt or dnf, with sudo when not root; when that
# is not permitted it stops and prints the command to run.
set -euo pipefail
cd "$(dirname "$0")/.."

lacking=()
apt_packages=()
dnf_packages=()

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }

# Daemons and network tools are in sbin, which is not in everybody's PATH.
has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }
any_file() { compgen -G "$1" >/dev/null; }

# bindgen needs the shared library and the headers that come with the compiler (stddef.h).
has_libclang() {
  local library=no pattern
  [ -z "${LIBCLANG_PATH:-}" ] || library=yes
  for pattern in '/usr/lib/llvm-*/lib/libclang*.so*' '/usr/lib/*-linux-gnu/libclang*.so*' \
    '/usr/lib64/libclang.so*' '/usr/lib/libclang.so*' '/usr/lib64/llvm*/lib/libclang.so*'; do
    if any_file "$pattern"; then library=yes; fi
  done
  [ "$library" = yes ] || return 1
  any_file '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' || any_file '/usr/lib*/clang/*/include/stddef.h' ||
    any_file '/usr/lib64/llvm*/lib/clang/*/include/stddef.h' || has clang
}
has_cxx() { has c++ || has g++ || has clang++; }
has_protoc() { has protoc && any_file '/usr/*include/google/protobuf/descriptor.proto'; }
has_libvirt_headers() { pkg-config --exists 'libvirt >= 6.0.0' 2>/dev/null; }
has_libvirt_qemu_driver() { has libvirtd && any_file '/usr/lib*/libvirt/connection-driver/libvirt_driver_qemu.so' ||
  any_file '/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so'; }
has_qemu() { has qemu-system-x86_64; }

# need WHAT WHY APT DNF TEST...
need() {
  local what=$1 why=$2 apt=$3 dnf=$4
  shift 4
  if "$@"; then return 0; fi
  lacking+=("$what: $why")
  # Word splitting is wanted: one need may take several packages.
  # shellcheck disable=SC2206
  apt_packages+=($apt) dnf_packages+=($dnf)
}

look() {
  lacking=() apt_packages=() dnf_packages=()
  local group
  for group; do
    case $group in
    build)
      need "C++ compiler" "builds HiGHS and SQLite" g++ gcc-c++ has_cxx
      need "make" "builds HiGHS" make make has make
      need "cmake" "builds HiGHS" cmake cmake has cmake
      need "libclang" "reads HiGHS' C header (bindgen)" libclang-dev clang-devel has_libclang
      need "protoc" "reads the API of etcd" "protobuf-compiler libprotobuf-dev" "protobuf-compiler protobuf-devel" \
        has_protoc
      ;;
    agent)
      need "C compiler" "links the agent" gcc gcc has cc
      need "pkg-config" "finds libvirt" pkg-config pkgconf-pkg-config has pkg-config
      need "libvirt's headers" "the agent talks to libvirt" libvirt-dev libvirt-devel has_libvirt_headers
      ;;
    test)
      need "libvirtd" "the hypervisors of the end-to-end tests" \
        "libvirt-daemon-system" "libvirt-daemon libvirt-daemon-driver-qemu libvirt-daemon-config-network" \
        has_libvirt_qemu_driver
      need "virsh" "looks at the hypervisors from the side" libvirt-clients libvirt-client has virsh
      need "QEMU" "runs the tests' guests" qemu-system-x86 qemu-system-x86-core has_qemu
      need "ip" "the network between the hypervisors" iproute2 iproute has ip
      need "nsenter" "one namespace for each hypervisor" util-linux util-linux has nsenter
      need "gcc" "builds the tests' guest" gcc gcc has gcc
      need "etcd" "tells the tests' coordinators of each other" etcd-server etcd has etcd
      ;;
    *) die "no such group: $group (there are build, agent, test)" ;;
    esac
  done
}

# Rust is the one thing that is not installed from here: its version is the user's choice.
need_rust() {
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
  has cargo || die "cargo is missing; install Rust $wanted or newer from https://rustup.rs, then run this again"
  found=$(cargo --version | cut -d ' ' -f 2)
  [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] ||
    die "cargo is $found, dvms needs $wanted or newer: rustup update stable"
}

# Whether there is somebody whom sudo can ask for a password.
can_ask() { [ -z "${CI:-}" ] && (: </dev/tty) 2>/dev/null; }

# Runs a command as root; prints it and stops where that is not permitted.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif has sudo && { sudo -n true 2>/dev/null || can_ask; }; then
    sudo "$@"
  else
    die "not permitted to install. Run this as root, then try again:
  $command_to_run"
  fi
}

with_apt() {
  command_to_run="apt-get update && apt-get install -y --no-install-recommends ${apt_packages[*]}"
  local package stale=no
  for package in "${apt_packages[@]}"; do
    [ -n "$(apt-cache policy "$package" 2>/dev/null | sed -n 's/^ *Candidate: //p' | grep -v '(none)')" ] || stale=yes
  done
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "${apt_packages[@]}")
  if [ "$stale" = yes ]; then as_root apt-get update -q; fi
  as_root "${install[@]}" </dev/null && return 0
  # Most likely the package lists are older than what the mirror still has.
  as_root apt-get update -q
  as_root "${install[@]}" </dev/null
}

with_dnf() {
  command_to_run="dnf install -y ${dnf_packages[*]}"
  as_root dnf install -y --setopt=install_weak_deps=False "${dnf_packages[@]}" </dev/null
}

[ $# -gt 0 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
need_rust
look "$@"
[ ${#lacking[@]} -gt 0 ] || exit 0

say "missing on this machine:"
printf '  %s\n' "${lacking[@]}" >&2
if has apt-get; then
  say "installing with apt-get: ${apt_packages[*]}"
  with_apt >&2 || die "that failed; the messages above say why. The command was: $command_to_run"
elif has dnf; then
  say "installing with dnf: ${dnf_packages[*]}"
  with_dnf >&2 || die "that failed; the messages above say why. The command was: $command_to_run"
else
  die "there is neither apt-get nor dnf here; install the above by hand (Debian's names: ${apt_packages[*]})"
fi
hash -r
look "$@"
[ ${#lacking[@]} = 0 ] || die "installed, and yet not found: ${lacking[*]}"
say "done"
