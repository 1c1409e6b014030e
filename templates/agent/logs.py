# --- Logs


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


def follow(path, alive):
    """Every whole line of a run, and None whenever there is no more for now; ends after the container has."""
    done = set()
    while True:
        last = not alive()
        files = rotated(path)
        for part in files:
            inode = os.stat(part).st_ino
            if inode in done:
                continue
            with open(part, "rb") as file:
                rest = b""
                while True:
                    line = file.readline()
                    if line.endswith(b"\n"):
                        yield rest + line
                        rest = b""
                        continue
                    rest += line
                    if rotated(path)[-1:] != [part] and os.stat(rotated(path)[-1]).st_ino != inode:
                        break
                    if last:
                        return
                    last = not alive()
                    yield None
            done.add(inode)
        if last and not files:
            return
        if not files:
            yield None


def picked(line, request, since):
    """(the bytes a client sees of one line) or None when it is too old."""
    at, text = parsed(line)
    if since and at < since:
        return None
    return at + b"Z " + text if request.get("timestamps") else text


def since_of(request):
    if request.get("sinceTime"):
        return request["sinceTime"].rstrip("Z").encode()
    if request.get("sinceSeconds"):
        return stamp(time.time() - request["sinceSeconds"]).rstrip("Z").encode()
    return None


def send_logs(link, path, alive, request):
    left = request.get("limitBytes") or 1 << 62
    since = since_of(request)
    tail = request.get("tailLines")
    waiting = []
    caught_up = tail is None
    for line in follow(path, alive if request.get("follow") else lambda: False):
        out = b"" if line is None else picked(line, request, since)
        if not caught_up:
            if line is not None:
                if out is not None and tail > 0:
                    waiting.append(out)
                    del waiting[:-tail]
                continue
            caught_up, out, waiting = True, b"".join(waiting), []
            line = b""
        if out:
            link.sendall(out[:left])
            left -= len(out)
        if left <= 0:
            return
        if not out and line is None:
            if gone(link):
                return
            time.sleep(0.2)
    if waiting:
        link.sendall(b"".join(waiting)[:left])


def gone(link):
    ready, _, _ = select.select([link], [], [], 0)
    return bool(ready) and link.recv(1, socket.MSG_PEEK) == b""
