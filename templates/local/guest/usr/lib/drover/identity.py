"""Takes on an identity in a machine that continues from a saved one.

Many machines continue from the memory of one that was booted once. Each must become itself: clock, random numbers,
host name, machine id, SSH host key, network address. The host says who it is with one JSON object a line over a
virtio-serial port and reads one JSON object a line back. Nothing but the standard library, and no other program on the
way of an identity: under software emulation each one costs a tenth of a second or more.

Requests, by "do":
  ready     answers once cloud-init has ended, with its errors
  agent     hands "request" to drover's agent and returns its answer
  run       runs "script" in a shell: "code" and the end of what it printed
  seal      forgets the present identity, so that the machine may be saved
  identity  becomes who the other fields say, prints the host key's fingerprint to the console, and ends unless "stay"
"""

import base64
import fcntl
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import time

PORT = "/dev/virtio-ports/drover.identity"
RESULT = "/run/cloud-init/result.json"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
INTERFACE = "eth0"
AGENT = "/run/drover/agent.sock"
AGENT_UNIT = "/etc/systemd/system/drover-agent.service"
OUTPUT_BYTES = 4096

RNDADDENTROPY = 0x40085203
RNDRESEEDCRNG = 0x5207
SIOCADDRT, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFHWADDR = 0x890B, 0x8914, 0x8916, 0x891C, 0x8924
IFF_UP, RTF_UP_GATEWAY, ARPHRD_ETHER = 1, 3, 1


def open_port():
    """The kernel signals data and the host's coming and going, so waiting costs nothing."""
    while not os.path.exists(PORT):
        time.sleep(0.1)
    port = os.open(PORT, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(port, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(port, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    return port


def requests(port):
    rest = b""
    while True:
        try:
            chunk = os.read(port, 65536)
        except BlockingIOError:
            chunk = b""
        if not chunk:
            signal.sigtimedwait([signal.SIGIO], 1)
            continue
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def answer(port, message):
    data = json.dumps(message).encode() + b"\n"
    while data:
        try:
            data = data[os.write(port, data) :]
        except BlockingIOError:
            signal.sigtimedwait([signal.SIGIO], 0.05)


def write(path, text, mode=0o644):
    """Whole or not at all, and never readable by more than `mode` in between."""
    new = path + ".new"
    if os.path.exists(new):
        os.unlink(new)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    os.write(handle, text.encode())
    os.close(handle)
    os.rename(new, path)


def ready(_request):
    while not os.path.exists(RESULT):
        time.sleep(0.5)
    with open(RESULT) as file:
        return {"errors": json.load(file)["v1"]["errors"]}


def agent(request):
    if not os.path.exists(AGENT_UNIT):
        return {"answer": None}
    while not os.path.exists(AGENT):
        time.sleep(0.1)
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(AGENT)
        link.sendall(json.dumps(request["request"]).encode() + b"\n")
        return {"answer": json.loads(link.makefile("rb").readline())}


def run(request):
    done = subprocess.run(
        ["/bin/sh", "-c", request["script"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return {"code": done.returncode, "output": done.stdout.decode(errors="replace")[-OUTPUT_BYTES:]}


def seal(_request):
    for name in os.listdir("/etc/ssh"):
        if name.startswith("ssh_host_"):
            os.unlink("/etc/ssh/" + name)
    # networkd would give the old address back; a machine that continues from here sets its own.
    for unit in ("systemd-networkd.socket", "systemd-networkd.service"):
        subprocess.run(["systemctl", "stop", unit], check=True)
    network_down()
    os.sync()
    return {}


def identity(request):
    time.clock_settime(time.CLOCK_REALTIME, request["time"])
    reseed(bytes.fromhex(request["seed"]))
    write("/etc/hostname", request["hostname"] + "\n")
    socket.sethostname(request["hostname"])
    write("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost\n" % request["hostname"])
    write("/etc/machine-id", request["machineId"] + "\n")
    write(HOST_KEY, request["hostKey"], 0o600)
    write(HOST_KEY + ".pub", request["hostKeyPublic"] + "\n")
    announce(request["hostKeyPublic"])
    network_up(request["mac"], request["address"], request["netmask"], request["gateway"])
    return {}


def reseed(seed):
    with open("/dev/urandom", "wb", buffering=0) as pool:
        fcntl.ioctl(pool, RNDADDENTROPY, struct.pack("ii", len(seed) * 8, len(seed)) + seed)
        fcntl.ioctl(pool, RNDRESEEDCRNG)


def announce(public):
    """The lines that cloud-init prints on a machine's own first boot."""
    kind, key, comment = public.split(" ", 2)
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode().rstrip("=")
    lines = [
        "-----BEGIN SSH HOST KEY FINGERPRINTS-----",
        "256 SHA256:%s %s (ED25519)" % (digest, comment),
        "-----END SSH HOST KEY FINGERPRINTS-----",
        "-----BEGIN SSH HOST KEY KEYS-----",
        "%s %s %s" % (kind, key, comment),
        "-----END SSH HOST KEY KEYS-----",
    ]
    console = os.open("/dev/console", os.O_WRONLY | os.O_NOCTTY)
    os.write(console, "".join(line + "\r\n" for line in lines).encode())
    os.close(console)


def interface_call(control, payload):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, control, payload)


def inet(address):
    return struct.pack("<HH", socket.AF_INET, 0) + socket.inet_aton(address) + bytes(8)


def network_down():
    name = INTERFACE.encode().ljust(16, b"\0")
    interface_call(SIOCSIFADDR, name + inet("0.0.0.0") + bytes(8))
    interface_call(SIOCSIFFLAGS, name + struct.pack("<H", 0) + bytes(22))


def network_up(mac, address, netmask, gateway):
    name = INTERFACE.encode().ljust(16, b"\0")
    hardware = struct.pack("<H", ARPHRD_ETHER) + bytes.fromhex(mac.replace(":", ""))
    interface_call(SIOCSIFHWADDR, name + hardware.ljust(24, b"\0"))
    interface_call(SIOCSIFADDR, name + inet(address) + bytes(8))
    interface_call(SIOCSIFNETMASK, name + inet(netmask) + bytes(8))
    interface_call(SIOCSIFFLAGS, name + struct.pack("<H", IFF_UP) + bytes(22))
    # struct rtentry: pad, destination, gateway, mask, flags, and nothing in the fields behind them.
    route = bytes(8) + inet("0.0.0.0") + inet(gateway) + inet("0.0.0.0") + struct.pack("<H", RTF_UP_GATEWAY)
    interface_call(SIOCADDRT, route.ljust(120, b"\0"))


ACTIONS = {"ready": ready, "agent": agent, "run": run, "seal": seal, "identity": identity}


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
    port = open_port()
    for line in requests(port):
        try:
            request = json.loads(line)
            reply = {"ok": True, **ACTIONS[request["do"]](request)}
        except Exception as error:
            request, reply = {}, {"ok": False, "error": repr(error)}
        answer(port, reply)
        if request.get("do") == "identity" and not request.get("stay"):
            break


main()
