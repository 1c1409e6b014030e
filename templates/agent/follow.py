# --- Logs for those who ask


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
