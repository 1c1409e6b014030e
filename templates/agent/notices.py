# --- What EC2 tells a machine of its own end

NOTICE_SECONDS = 5
IMDS = os.environ.get("DROVER_IMDS", "")


def on_ec2():
    identity = ROOT + "/sys/class/dmi/id/"
    return read(identity + "sys_vendor").strip() == "Amazon EC2" or read(identity + "product_uuid").lower()[:3] == "ec2"


def ask_imds(path, header, value, method="GET"):
    """(status, body)."""
    # Imported here, because only machines of EC2 need to spend the time.
    from http.client import HTTPConnection

    link = HTTPConnection((IMDS or IMDS_DEFAULT).partition("://")[2], timeout=2)
    try:
        link.request(method, "/latest/" + path, headers={"X-aws-ec2-metadata-token" + header: value})
        told = link.getresponse()
        return told.status, told.read(65536).decode("utf-8", "replace").strip()
    finally:
        link.close()


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
        status, body = ask_imds("meta-data/" + path, "", token)
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
                status, token = ask_imds("api/token", "-ttl-seconds", "21600", "PUT")
                token = token if status == 200 else ""
            notice = current_notice(token)
            if notice != box.notice:
                box.notice = notice
                box.changed()
        except PermissionError:
            token = ""
        except Exception:
            # Not there yet, switched off, or not what it should be: the machine runs on, and it may come.
            token = ""
        time.sleep(NOTICE_SECONDS)


WATCHERS.append(listen_for_notices)
