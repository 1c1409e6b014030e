# --- Logs on disk


def entries(path, last=None):
    """The texts of the lines of one run."""
    parts = rotated(path)
    lines = []
    for part in parts:
        with open(part, "rb") as file:
            for line in file:
                lines.append(parsed(line)[1])
                if last and len(lines) > 2 * last:
                    del lines[:-last]
    return lines[-last:] if last else lines


def parsed(line):
    """(time, text) of a line in conmon's form, or in docker's."""
    if line[:1] == b"{":
        entry = json.loads(line)
        return entry["time"].encode().rstrip(b"Z"), entry["log"].encode()
    at, _, tag, text = (line.split(b" ", 3) + [b"", b"", b""])[:4]
    return at.replace(b"+00:00", b"").rstrip(b"Z"), text.rstrip(b"\n") if tag == b"P" else text


def rotated(path):
    """The files of one run, oldest first. Who writes it begins a new file when one is full; a hard link keeps the old
    one."""
    folder, base = os.path.split(path)
    try:
        links = sorted((name for name in os.listdir(folder) if name.startswith(base + ".") and name[-1].isdigit()),
                       key=lambda name: int(name.rsplit(".", 1)[1]))
    except FileNotFoundError:
        return []
    files, seen = [], set()
    for name in [*links, base]:
        try:
            inode = os.stat(os.path.join(folder, name)).st_ino
        except FileNotFoundError:
            continue
        if inode not in seen:
            seen.add(inode)
            files.append(os.path.join(folder, name))
    return files


def keep_linked(path, source):
    """`path` is another name of `source`, which may be another file by now."""
    if source and os.path.exists(source) and not (os.path.exists(path) and os.path.samefile(path, source)):
        if os.path.exists(path):
            keep_rotated(path)
        remove(path)
        os.link(source, path)


def keep_rotated(path):
    files = rotated(path)
    folder, base = os.path.split(path)
    if files and files[-1] == path:
        links = [int(name.rsplit(".", 1)[1]) for name in map(os.path.basename, files[:-1])]
        os.link(path, "%s.%d" % (path, max(links, default=0) + 1))
        for old in files[:-LOG_FILES]:
            os.unlink(old)
