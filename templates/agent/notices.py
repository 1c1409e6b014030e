# --- What EC2 tells a machine of its own end

NOTICE_SECONDS = 5
IMDS = os.environ.get("DROVER_IMDS", "")


def on_ec2():
    identity = ROOT + "/sys/class/dmi/id/"
    return read(identity + "sys_vendor").strip() == "Amazon EC2" or read(identity + "product_uuid").lower()[:3] == "ec2"


def ask_imds(path, header, method="GET"):
    """(status, body)."""
    host, _, port = (IMDS or "http://169.254.169.254").partition("://")[2].partition(":")
    with socket.create_connection((host, int(port or 80)), 2) as link:
        link.sendall(("%s /latest/%s HTTP/1.1\r\nHost: %s\r\nX-aws-ec2-metadata-token%s\r\nConnection: close\r\n"
                      "Content-Length: 0\r\n\r\n" % (method, path, host, header)).encode())
        data = b""
        while True:
            more = link.recv(4096)
            if not more or len(data) > 65536:
                break
            data += more
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split(None, 2)[1]), body.decode("utf-8", "replace").strip()


def notice_at(text, form="%Y-%m-%dT%H:%M:%SZ"):
    import calendar

    return calendar.timegm(time.strptime(text, form)) * 1000


def interruption(told):
    return {"kind": "interruption", "atMs": notice_at(told["time"])}


def rebalance(told):
    return {"kind": "rebalance", "atMs": notice_at(told["noticeTime"])}


def retirement(events):
    """A host that only reboots, or whose network is worked on, comes back."""
    for event in events:
        if event.get("Code") in ("instance-retirement", "instance-stop") and event.get("State") == "active":
            return {"kind": "retirement", "atMs": notice_at(event["NotBefore"], "%d %b %Y %H:%M:%S GMT")}


# The most urgent one first.
NOTICES = (("spot/instance-action", interruption), ("events/recommendations/rebalance", rebalance),
           ("events/maintenance/scheduled", retirement))


def current_notice(token):
    for path, reading in NOTICES:
        status, body = ask_imds("meta-data/" + path, ": " + token)
        if status == 401:
            raise PermissionError
        notice = reading(json.loads(body)) if status == 200 else None
        if notice:
            return notice


def listen_for_notices(box):
    token = ""
    while IMDS or on_ec2():
        try:
            if not token:
                status, token = ask_imds("api/token", "-ttl-seconds: 21600", "PUT")
                token = token if status == 200 else ""
            notice = current_notice(token)
            if notice != box.notice:
                box.notice = notice
                box.changed()
        except PermissionError:
            token = ""
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
            # Not there yet, or switched off.
            pass
        time.sleep(NOTICE_SECONDS)


WATCHERS.append(listen_for_notices)
