#!/usr/bin/python3
"""drover's agent. It takes one Pod, once and for ever, keeps it on the disk and runs it: containers in Kubernetes'
order, restarts with back-off, probes, hooks, logs. Nothing here needs drover to be in reach.

It listens on /run/drover/agent.sock, reached through SSH. A client sends one line of JSON, {"op": ...}, and gets one
line back, {"ok": true} or {"error": {"code", "message"}}; after it come reports (watch) or bytes (logs).

The files of this folder become one program. A machine has some from the beginning, and is given others together with
its Pod, because user data is short: src/machines/agent.ts knows which. Such a file makes itself known in a list here.

Python's start is slow on an emulated machine, so imports are few and sockets are used bare. DROVER_ROOT moves every
path below another root; what leaves that root is done by commands found through PATH.
"""
import binascii
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

VERSION = "1"
ROOT = os.environ.get("DROVER_ROOT", "")
STATE = ROOT + "/var/lib/drover"
RUN = ROOT + "/run/drover"
UNBOUND_SECONDS = 900
HEARTBEAT_SECONDS = 10
IMDS_DEFAULT = "http://169.254.169.254"
BACKOFF_SECONDS = (0, 10, 20, 40, 80, 160, 300)
CALM_SECONDS = 600
LOG_BYTES, LOG_FILES, ROTATE_SECONDS = 10 << 20, 5, 5
MESSAGE_BYTES = 4096
# Ways to run a container, the one to be preferred first; kinds of probes; pairs that mount and unmount a disk; what
# sets redirects; threads that go on as long as the machine.
ENGINES, PROBES, DISKS, REDIRECTS, WATCHERS = [], {}, [], [], []


class Refused(Exception):
    """An answer that is not a success; `code` is in drover's catalogue."""

    def __init__(self, message, code="BOX_REFUSED"):
        super().__init__(message)
        self.code = code


class Broken(Exception):
    """A container that can't be made; `reason` is Kubernetes' word for it."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


class Unstartable(Exception):
    """The image is fine, its command is not."""

    pass


def log(text):
    print(text, file=sys.stderr, flush=True)


def stamp(at=None):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def spawn(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def read(path, otherwise=""):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return otherwise


def write(path, data, mode=0o600):
    """Whole or not at all, and on the disk."""
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, mode)
        file.write(data if isinstance(data, bytes) else data.encode())
        file.flush()
        os.fsync(fd)
    os.rename(path + ".new", path)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path):
            remove(os.path.join(path, name))
        os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def run_command(*command, timeout=None, text=""):
    """(exit code, standard output, standard error), both stripped; `text` is its standard input."""
    given = {"input": text.encode()} if text else {"stdin": subprocess.DEVNULL}
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, **given)
    except FileNotFoundError:
        return 127, "", command[0] + " is not installed"
    out, error = (data.decode("utf-8", "replace").strip() for data in (done.stdout, done.stderr))
    return done.returncode, out, error


def found(program):
    return any(os.access(os.path.join(folder, program), os.X_OK) for folder in os.environ.get("PATH", "").split(":"))


def mounted(folder):
    return " %s " % folder in (read(ROOT + "/proc/mounts") or read("/proc/mounts"))
