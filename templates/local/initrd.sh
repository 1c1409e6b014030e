#!/bin/busybox sh
# The first program of the guest: finds the disk, puts the machine's own cloud-init seed on it, and goes on from there.
box=/bin/busybox
$box mount -t devtmpfs dev /dev
for module in MODULES; do $box insmod "/lib/$module.ko"; done
tries=0
while ! $box mount -t ext4 -o rw,noatime,noinit_itable /dev/vda /mnt; do
  $box sleep 0.1
  tries=$((tries + 1))
  [ "$tries" -gt 100 ] && exec $box sh
done
$box mkdir -p /mnt/var/lib/cloud/seed/nocloud
$box cp /seed/* /mnt/var/lib/cloud/seed/nocloud/
$box mount --move /dev /mnt/dev
exec $box switch_root /mnt /sbin/init
