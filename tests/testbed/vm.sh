#!/usr/bin/env bash
# vm.sh NAME nano|linux MIB [CMDLINE]
# Prints the domain XML of a test guest, built on first use: one vCPU, TCG, no disk, no network card.
# The UUID follows from the name (VM_UUID overrides it). Its serial port writes to SERIAL_DIR/NAME.serial
# on whatever host it runs (default /var/log/libvirt, which each hypervisor has to itself).
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
export DVMS_TESTBED
DVMS_TESTBED=$(realpath -m "${DVMS_TESTBED:-${TMPDIR:-/tmp}/dvms-testbed-$UID}")
[ $# -ge 3 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
name=$1 kind=$2 mib=$3 cmdline=${4:-}
md5=$(printf %s "$name" | md5sum)
uuid=${VM_UUID:-${md5:0:8}-${md5:8:4}-4${md5:13:3}-8${md5:17:3}-${md5:20:12}}
guest=$DVMS_TESTBED/guest
case $kind in
nano)
  image=nano.elf
  boot="<kernel>$guest/nano.elf</kernel><cmdline>$cmdline</cmdline>" ;;
linux)
  image=initramfs.gz
  boot="<kernel>$guest/vmlinuz</kernel><initrd>$guest/initramfs.gz</initrd>"
  boot+="<cmdline>console=ttyS0 quiet $cmdline</cmdline>" ;;
*) echo "vm.sh: $kind: nano or linux" >&2; exit 2 ;;
esac
[ -e "$guest/$image" ] || "$HERE/guest/build.sh" "$kind" >&2
# type='qemu': /dev/kvm may exist and be of no use. tb-cache: TCG else reserves 1 GiB for each guest.
cat <<X
<domain type='qemu'>
  <name>$name</name><uuid>$uuid</uuid>
  <memory unit='MiB'>$mib</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type>$boot</os>
  <features><acpi/><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features>
  <on_reboot>destroy</on_reboot>
  <devices>
    <controller type='usb' model='none'/>
    <serial type='file'><source path='${SERIAL_DIR:-/var/log/libvirt}/$name.serial' append='on'/></serial>
    <memballoon model='virtio'><stats period='1'/></memballoon>
  </devices>
</domain>
X
