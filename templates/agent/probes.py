# --- Probes and hooks: None, or why it failed


def http(action, seconds):
    host, port = action.get("host") or "127.0.0.1", action["port"]
    url = "%s://%s:%d%s" % (action["scheme"].lower(), host, port, action["path"])
    until = time.monotonic() + seconds
    try:
        with socket.create_connection((host, port), seconds) as plain:
            link = plain
            if action["scheme"] == "HTTPS":
                import ssl

                link = ssl._create_unverified_context().wrap_socket(plain)
            headers = {"Host": "%s:%d" % (host, port), "User-Agent": "kube-probe/drover", "Accept": "*/*"}
            headers.update({name: value for name, value in action["headers"]})
            lines = ["GET %s HTTP/1.1" % (action["path"] or "/"), "Connection: close"]
            lines += ["%s: %s" % pair for pair in headers.items()]
            link.sendall(("\r\n".join(" ".join(line.splitlines()) for line in lines) + "\r\n\r\n").encode())
            head = b""
            while b"\n" not in head and len(head) < 4096:
                link.settimeout(max(0.001, until - time.monotonic()))
                more = link.recv(1024)
                if not more:
                    return 'Get "%s": EOF' % url
                head += more
            code = int(head.split(None, 2)[1])
            return None if 200 <= code < 400 else "HTTP probe failed with statuscode: %d" % code
    except socket.timeout:
        return 'Get "%s": context deadline exceeded (Client.Timeout exceeded while awaiting headers)' % url
    except (OSError, ValueError, IndexError) as error:
        return 'Get "%s": %s' % (url, getattr(error, "strerror", None) or error)


def tcp(action, seconds):
    host, port = action.get("host") or "127.0.0.1", action["port"]
    try:
        socket.create_connection((host, port), seconds).close()
    except OSError as error:
        return "dial tcp %s:%d: %s" % (host, port, getattr(error, "strerror", None) or error)


PROBES.update(http=http, tcp=tcp)
