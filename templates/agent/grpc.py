# --- Probes by gRPC


def frame(kind, flags, stream, payload):
    """One frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def grpc(action, seconds):
    """grpc.health.v1.Health/Check in the few frames that one call takes."""
    host, port = action.get("host") or "127.0.0.1", action["port"]
    service = action["service"].encode()[:127]
    message = b"\x0a" + bytes([len(service)]) + service if service else b""
    authority = ("%s:%d" % (host, port)).encode()
    pairs = [(b":authority", authority), (b":path", b"/grpc.health.v1.Health/Check"), (b"te", b"trailers"),
             (b"content-type", b"application/grpc")]
    # 0x83 and 0x86 are `:method POST` and `:scheme http` in HPACK's table; the rest goes as literals.
    block = b"\x83\x86" + b"".join(b"\x00" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in pairs)
    until = time.monotonic() + seconds
    try:
        with socket.create_connection((host, port), seconds) as link:
            link.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, block)
                         + frame(0, 1, 1, b"\x00" + len(message).to_bytes(4, "big") + message))
            data = b""
            while True:
                link.settimeout(max(0.001, until - time.monotonic()))
                more = link.recv(4096)
                if not more:
                    return "connection closed before an answer"
                data += more
                while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
                    size, kind, flags = int.from_bytes(data[:3], "big"), data[3], data[4]
                    payload, data = data[9:9 + size], data[9 + size:]
                    if kind == 4 and not flags & 1:
                        link.sendall(frame(4, 1, 0, b""))
                    elif kind == 0 and payload:
                        status = payload[6] if len(payload) > 6 and payload[5] == 8 else 0
                        return None if status == 1 else "service unhealthy (responded with %d)" % status
                    elif kind in (3, 7) or (kind == 1 and flags & 1):
                        return "the server has no health service or refused the call"
    except OSError as error:
        return "timeout: failed to connect service %s:%d: %s" % (host, port, error)


PROBES["grpc"] = grpc
