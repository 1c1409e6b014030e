# Ends the build of the guest's root file system; $1 is its root. Runs outside of it, with apt set up for it.
root=$1

# The kernel without its package: the package would bring a generator of initial RAM disks along.
kernel=$(mktemp -d -p "$root/tmp")
(
  cd "$kernel"
  export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
  package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
  apt-get -qq -o APT::Sandbox::User=root download "$package"
  dpkg-deb -x ./*.deb files
)
mkdir -p "$root/usr/lib/modules"
mv "$kernel"/files/lib/modules/* "$root/usr/lib/modules/"
mv "$kernel"/files/boot/vmlinuz-* "$root/boot/vmlinuz"
version=$(basename "$root"/usr/lib/modules/*)
for kind in gpu infiniband media scsi nvme hv xen net/ethernet iio target; do
  rm -rf "$root/usr/lib/modules/$version/kernel/drivers/$kind"
done
chroot "$root" depmod "$version"
rm -rf "$kernel"

# What a machine with one task has no use for; each unit costs a part of a second at boot.
for unit in \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  podman.service podman.socket podman-auto-update.service podman-auto-update.timer podman-restart.service \
  systemd-networkd-wait-online.service systemd-pstore.service systemd-binfmt.service systemd-logind.service \
  systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-remount-fs.service \
  systemd-journal-flush.service systemd-random-seed.service systemd-rfkill.service systemd-firstboot.service \
  modprobe@drm.service modprobe@dm_mod.service modprobe@loop.service modprobe@efi_pstore.service \
  modprobe@configfs.service modprobe@fuse.service sys-kernel-debug.mount sys-kernel-tracing.mount \
  sys-kernel-config.mount sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount \
  proc-sys-fs-binfmt_misc.automount getty@tty1.service serial-getty@ttyS0.service getty-static.service \
  cloud-init-hotplugd.socket kmod-static-nodes.service systemd-sysusers.service ssh.socket; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
find "$root/etc/systemd/system" -mindepth 2 -lname '*/podman*' -delete
for unit in systemd-networkd.service systemd-network-generator.service drover-identity.service; do
  systemctl --root "$root" --quiet enable "$unit" || chroot "$root" systemctl --quiet enable "$unit"
done

# Device rules for hardware that a virtual machine of ours never has, and the one that loads a module for whatever the
# emulated computer shows: a machine needs four, named below, and the rest take seconds at boot.
rm -f "$root"/usr/lib/udev/hwdb.bin "$root"/usr/lib/udev/hwdb.d/*
for rules in "$root"/usr/lib/udev/rules.d/*; do
  case $(basename "$rules") in
    50-udev-default.rules | 60-block.rules | 60-persistent-storage.rules | 99-systemd.rules) ;;
    *) rm -f "$rules" ;;
  esac
done

# Importing these is a quarter of the time that each stage of cloud-init takes. It does without them: the first one
# only checks what drover has made itself, for the second one another package stands in.
rm -rf "$root"/usr/lib/python3/dist-packages/jsonschema "$root"/usr/lib/python3/dist-packages/chardet

# Each machine makes its own.
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/machine-id "$root"/var/lib/dbus/machine-id "$root"/etc/hostname
: >"$root/etc/machine-id"
sed -i 's/^root:[^:]*:/root:*:/' "$root/etc/shadow"
printf '%s\n' virtio_net virtio_console virtio_rng overlay >"$root/etc/modules-load.d/drover.conf"
