#!/usr/bin/env bash
# build.sh [nano] [linux]   builds test guests into $DVMS_TESTBED/guest (default: nano)
#   nano   nano.elf, 2 KB, no operating system: up at once, load on demand      (needs gcc)
#   linux  vmlinuz + initramfs.gz: Debian's cloud kernel, busybox, balloon driver
#          (needs busybox-static, cpio; the kernel comes from KERNEL_DIR, an unpacked linux-image
#          package, or is downloaded with apt-get)
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
OUT=$(realpath -m "${DVMS_TESTBED:-${TMPDIR:-/tmp}/dvms-testbed-$UID}")/guest
mkdir -p -m 711 "$(dirname "$OUT")"
mkdir -p -m 755 "$OUT"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nano() { # plain gcc will do: nothing of a C library is used, so no multilib package is needed
  local quiet=()
  case $(ld --help) in *--no-warn-rwx-segments*) quiet=(-Wl,--no-warn-rwx-segments) ;; esac
  gcc -m32 -march=i386 -O2 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-stack-protector \
    -fno-asynchronous-unwind-tables -nostdlib -no-pie -Wl,-N -Wl,--build-id=none \
    -Wl,-z,noexecstack -Wl,-Ttext=0x100000 "${quiet[@]}" -o "$work/nano.elf" "$HERE/nano.c"
  mv "$work/nano.elf" "$OUT/nano.elf" # in one step: another run may be starting a guest
}

linux() {
  local kernel=${KERNEL_DIR:-$work/kernel} image drivers root=$work/root m package
  if [ ! -d "$kernel" ]; then
    package=$(apt-cache depends linux-image-cloud-amd64 |
      sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
    (cd "$work" && apt-get download "$package" && dpkg -x ./*.deb "$kernel")
  fi
  image=$(find "$kernel/boot" -name 'vmlinuz-*' | head -1)
  drivers=$kernel/lib/modules/${image##*/vmlinuz-}/kernel/drivers
  mkdir -p "$root"/{bin,dev,m,proc,sys,tmp}
  cp /bin/busybox "$root/bin/"
  install -m 755 "$HERE/linux-init" "$root/init"
  for m in virtio/virtio{,_ring,_pci_legacy_dev,_pci_modern_dev,_pci,_balloon} acpi/button input/evdev; do
    cp "$drivers/$m.ko" "$root/m/"
  done
  (cd "$root" && find . | cpio -o -H newc --quiet | gzip -9) >"$OUT/initramfs.gz"
  install -m 644 "$image" "$OUT/vmlinuz"
}

for g in "${@:-nano}"; do
  case $g in
  nano | linux) "$g"; echo "$g guest built in $OUT" ;;
  *) sed -n '2,6s/^# //p' "$0" >&2; exit 2 ;;
  esac
done
