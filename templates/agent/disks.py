# --- Disks that outlive the machine

DEVICE_SECONDS = 5
BLANK_BYTES = 1 << 20
PACKAGES = {"ext3": "e2fsprogs", "ext4": "e2fsprogs", "xfs": "xfsprogs"}
APT = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300")
PACKAGERS = (((), ("dnf", "-q", "-y", "install")),
             ((*APT, "update"), (*APT, "install", "-y", "--no-install-recommends")))


def device_of(volume):
    device = ROOT + volume["device"]
    until = time.monotonic() + DEVICE_SECONDS
    while not os.path.exists(device):
        if time.monotonic() >= until:
            raise Broken("FailedMount", "waiting for the disk %s to be attached" % volume["device"])
        time.sleep(0.2)
    return device


def demand(*command):
    code, out, error = run_command(*command)
    if code:
        raise Broken("FailedMount", "%s: %s" % (command[0], error or out or "exit code %d" % code))


def provide(kind):
    """The programs of a file system that few disks have; where they are missing, the distribution's package is."""
    package = PACKAGES.get(kind)
    for update, install in PACKAGERS:
        if package and not found("mkfs." + kind) and found(install[0]):
            if update:
                run_command(*update)
            code, out, error = run_command(*install, package)
            if code:
                raise Broken("FailedMount", "a file system of type %s needs %s, which can't be installed: %s"
                             % (kind, package, (error or out or "exit code %d" % code).rsplit("\n", 1)[-1]))


def file_system(device):
    """Its type; "" on a blank disk. Anything else on it is left alone, even where blkid does not know what it is."""
    code, out, error = run_command("blkid", "--probe", "--output", "export", device)
    facts = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    if code == 0 and facts.get("USAGE") == "filesystem":
        return facts["TYPE"]
    if code != 2 or facts:
        what = "a partition table" if "PTTYPE" in facts else facts.get("TYPE") or error or "several things at once"
        raise Broken("FailedMount", "the disk holds %s and no file system: it is not touched" % what)
    with open(device, "rb") as disk:
        if disk.read(BLANK_BYTES).strip(b"\0"):
            raise Broken("FailedMount", "the disk holds data that is no known file system: it is not touched")
    return ""


def mount_disk(box, volume):
    """Formats, mounts and grows what needs it; repeatable."""
    device = device_of(volume)
    folder = "%s/volumes/%s" % (STATE, volume["name"])
    if volume.get("block"):
        box.folders[volume["name"]] = device
        return
    wanted = volume["fsType"]
    present = file_system(device)
    kind = present or wanted
    if not mounted(folder):
        provide(kind)
        if not present and volume["readOnly"]:
            raise Broken("FailedMount", "the disk is empty and read-only")
        if not present:
            usual = ["-m", "0"] if wanted.startswith("ext") else []
            demand("mkfs." + wanted, "-q", *usual, *volume.get("format", []), device)
            box.event("Formatted", 'volume "%s": a new file system, %s' % (volume["name"], wanted))
        elif present.startswith("ext") and not volume["readOnly"]:
            code, out, error = run_command("fsck", "-a", device)
            if code not in (0, 1, 127):
                raise Broken("FailedMount", "fsck: " + (error or out))
        os.makedirs(folder, exist_ok=True)
        options = ["ro" if volume["readOnly"] else "rw", *volume.get("mount", [])]
        demand("mount", "-t", kind, "-o", ",".join(options), device, folder)
    if not volume["readOnly"]:
        grow = ("xfs_growfs", folder) if kind == "xfs" else ("resize2fs", device)
        if kind == "xfs" or kind.startswith("ext"):
            box.attempt("FileSystemResizeFailed", 'volume "%s": ' % volume["name"], demand, *grow)
        hand_over(folder, box.binding.get("fsGroup"))
    box.folders[volume["name"]] = folder


def hand_over(folder, group):
    """All to the group, unless its root says that this was done before."""
    seen = os.stat(folder)
    if group is None or (seen.st_gid == group and seen.st_mode & 0o2070 == 0o2070):
        return
    demand("chgrp", "--recursive", "--no-dereference", str(group), folder)
    demand("chmod", "--recursive", "g+rwX", folder)
    # The root comes last: it is the sign that all is done.
    demand("find", folder, "-depth", "-type", "d", "-exec", "chmod", "g+s", "{}", "+")


def unmount_disk(volume):
    folder = "%s/volumes/%s" % (STATE, volume["name"])
    if not volume.get("block") and mounted(folder):
        demand("umount", folder)


DISKS.append((mount_disk, unmount_disk))
