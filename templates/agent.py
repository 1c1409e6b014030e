#!/usr/bin/python3
"""drover's agent. It takes one Pod, once and for ever, keeps it on the disk and runs it: containers in Kubernetes'
order, restarts with back-off, probes, hooks, logs. Nothing here needs drover to be in reach.

It listens on /run/drover/agent.sock, reached through SSH. A client sends one line of JSON, {"op": ...}, and gets one
line back, {"ok": true} or {"error": {"code", "message"}}; after it come reports (watch) or bytes (logs).

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
BACKOFF_SECONDS = (0, 10, 20, 40, 80, 160, 300)
CALM_SECONDS = 600
LOG_BYTES, LOG_FILES, ROTATE_SECONDS = 10 << 20, 5, 5
MESSAGE_BYTES = 4096
# What Kubernetes' runtimes grant and podman does not.
EXTRA_CAPABILITIES = ("AUDIT_WRITE", "MKNOD", "NET_RAW")


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


def run_command(*command, timeout=None):
    """(exit code, standard output, standard error), both stripped."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
    except FileNotFoundError:
        return 127, "", command[0] + " is not installed"
    out, error = (text.decode("utf-8", "replace").strip() for text in (done.stdout, done.stderr))
    return done.returncode, out, error


def found(program):
    return any(os.access(os.path.join(folder, program), os.X_OK) for folder in os.environ.get("PATH", "").split(":"))


def last_line(text):
    return text.rsplit("\n", 1)[-1].removeprefix("Error: ")


# --- Images


def canonical(reference):
    """The whole name of an image: registry, path, and tag or digest."""
    name, at, digest = reference.partition("@")
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, path = first, rest
    else:
        registry, path = "docker.io", name if slash else "library/" + name
    folder, tagged, tag = path.rpartition(":")
    if "/" in tag or not tagged:
        folder, tag = path, "latest"
    letters = set("abcdefghijklmnopqrstuvwxyz0123456789._-/")
    if not folder or folder.endswith("/") or not set(folder) <= letters or " " in reference or not tag:
        raise Broken("InvalidImageName", 'couldn\'t parse image name "%s": invalid reference format' % reference)
    return "%s/%s%s" % (registry, folder, at + digest if at else ":" + tag)


class Images:
    """What is here, by whole name: id, and once asked for digest and stop signal. A start needs to ask nobody, and a
    digest is never pulled twice."""

    def __init__(self, kept, save):
        self.kept, self.save, self.turn = kept, save, threading.Lock()

    def known(self, name):
        return self.kept.get(name)

    def pull(self, name, mirror):
        """The image's id. The mirror is asked first, under the image's whole name."""
        with self.turn:
            sources = [["--tls-verify=false", mirror + "/" + name]] if mirror else []
            for source in [*sources, [name]]:
                code, out, error = run_command("podman", "pull", "--quiet", *source)
                if code == 0:
                    image = out.rsplit("\n", 1)[-1]
                    if source != [name] and "@" not in name:
                        run_command("podman", "tag", image, name)
                    self.kept[name] = {"id": image}
                    self.save()
                    return image
            raise Broken("ErrImagePull", error)

    def describe(self, name):
        known = self.kept.get(name, {})
        if "digest" not in known:
            code, out, _ = run_command("podman", "image", "inspect", known.get("id", name))
            facts = json.loads(out)[0] if code == 0 else {}
            if not facts:
                return known
            known = {"id": facts["Id"], "digest": facts.get("Digest", ""),
                     "signal": (facts.get("Config") or {}).get("StopSignal") or "SIGTERM"}
            self.kept[name] = known
            self.save()
        return known


# --- Volumes


def inside(folder, path):
    """A path below `folder`, refused when it leads out of it."""
    whole = os.path.normpath(os.path.join(folder, path))
    if os.path.isabs(path) or not (os.path.realpath(whole) + "/").startswith(os.path.realpath(folder) + "/"):
        raise Broken("CreateContainerConfigError", "%s leads out of its volume" % path)
    return whole


def write_files(folder, files, group):
    """Replaces all files in one step: names are links into `..data`, a link to the folder of this version."""
    more = 0 if group is None else 0o440
    wanted = {file["path"]: (binascii.a2b_base64(file["contentBase64"]), file["mode"] | more) for file in files}
    if wanted == present_files(folder + "/..data/"):
        return
    version = "..%d" % time.time_ns()
    fresh = os.path.join(folder, version)
    os.makedirs(fresh, 0o755)
    for name, (content, mode) in wanted.items():
        path = inside(fresh, name)
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        write(path, content, mode)
        if group is not None:
            os.chown(path, -1, group)
    swap = os.path.join(folder, "..data_new")
    remove(swap)
    os.symlink(version, swap)
    os.rename(swap, os.path.join(folder, "..data"))
    names = set(os.listdir(fresh))
    for name in names:
        link = os.path.join(folder, name)
        if not os.path.lexists(link):
            os.symlink("..data/" + name, link)
    for name in os.listdir(folder):
        if name not in names and name not in (version, "..data"):
            remove(os.path.join(folder, name))


def present_files(root, below=""):
    """What a volume holds now: path to content and mode; None before its first version."""
    try:
        names = os.listdir(root + below)
    except FileNotFoundError:
        return None
    files = {}
    for name in names:
        path = root + below + name
        if os.path.isdir(path):
            files.update(present_files(root, below + name + "/"))
        else:
            with open(path, "rb") as file:
                files[below + name] = (file.read(), os.stat(path).st_mode & 0o7777)
    return files


def prepare_volume(volume, group):
    folder = volume["path"] if volume["kind"] == "host" else "%s/volumes/%s" % (STATE, volume["name"])
    os.makedirs(folder, exist_ok=True)
    if volume["kind"] == "files":
        write_files(folder, volume["files"], group)
    elif volume["kind"] == "empty":
        if volume["medium"] == "memory" and " %s tmpfs " % folder not in read("/proc/mounts"):
            size = ["-o", "size=%d" % volume["sizeBytes"]] if volume.get("sizeBytes") else []
            code, _, error = run_command("mount", "-t", "tmpfs", *size, "drover", folder)
            if code:
                raise Broken("CreateContainerConfigError", error)
        if group is None:
            os.chmod(folder, 0o777)
        else:
            os.chown(folder, -1, group)
            os.chmod(folder, 0o2777)
    return folder


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


class Run:
    """One process of a container, from its start to its end."""

    def __init__(self):
        self.ended = threading.Event()
        self.pidfd = None
        # When it is killed, on the monotonic clock; None until somebody wants it to end.
        self.deadline = None


class Container:
    """One container of the Pod and the thread that keeps it as it should be."""

    def __init__(self, box, spec, kind):
        self.box, self.spec, self.kind, self.name = box, spec, kind, spec["name"]
        fresh = {"runs": 0, "restarts": 0, "crashes": 0, "done": False}
        self.kept = box.kept["containers"].setdefault(self.name, fresh)
        self.handle = "c-" + self.name
        self.wake = threading.Event()
        self.finished = threading.Event()
        self.run = Run()
        self.misses = 0
        if self.kept.get("boot") != box.boot:
            # Nothing runs yet, and a machine that has booted initializes anew.
            self.kept.update(ready=False, started=False, done=self.kept["done"] and kind == "main")
        if "state" not in self.kept:
            before = kind == "main" and bool(box.binding["initContainers"])
            self.kept["state"] = {"waiting": {"reason": "PodInitializing" if before else "ContainerCreating"}}

    # What is told

    def status(self):
        kept = self.kept
        status = {"name": self.name, "state": kept["state"], "lastState": kept.get("last", {}),
                  "ready": kept.get("ready", False), "started": kept.get("started", False),
                  "restartCount": kept["restarts"], "image": kept.get("image", self.spec["image"]),
                  "imageID": kept.get("imageID", "")}
        if kept.get("id"):
            status["containerID"] = "drover://" + kept["id"]
        return status

    def event(self, reason, message, kind="Normal"):
        self.box.event(reason, message, kind, self.name)

    def set(self, **fields):
        with self.box.lock:
            self.kept.update(fields)
            self.box.changed(save=True)

    def wait_with(self, reason, message=None):
        state = {"reason": reason, **({"message": message} if message else {})}
        self.set(state={"waiting": state}, ready=False, started=False)

    # Its life

    def live(self):
        try:
            if self.kept["done"] or (not self.adopt() and self.lost()):
                return
            while not self.box.stopping() or self.kept.get("pid"):
                adopted = bool(self.kept.get("pid"))
                if not adopted and not self.launch():
                    continue
                self.tend(adopted)
                if self.settle():
                    return
        finally:
            self.set(done=True)
            self.finished.set()
            self.wake.set()

    def adopt(self):
        """After a restart of the agent alone, the process is still there."""
        if self.kept.get("pid") and self.kept.get("boot") == self.box.boot:
            if started_ticks(self.kept["pid"]) == self.kept.get("ticks"):
                return True
            self.conclude()
        return False

    def lost(self):
        """What ran when the machine went down has ended with it. True where that was its last run."""
        if "running" not in self.kept["state"]:
            return "terminated" in self.kept["state"] and self.kept.get("boot") == self.box.boot and self.settle()
        began = self.kept["state"]["running"].get("startedAt")
        ended = {"exitCode": 255, "reason": "Unknown", "message": "The machine was restarted.", "startedAt": began,
                 "finishedAt": stamp(), "containerID": "drover://" + self.kept.get("id", "")}
        self.set(state={"terminated": ended}, pid=None, crashes=0)
        return self.kind == "main" and self.box.binding["restartPolicy"] == "Never"

    def hold(self, seconds):
        """Waits; False when the Pod is to stop."""
        self.wake.wait(seconds)
        self.wake.clear()
        return not self.box.stopping()

    def launch(self):
        """True once its process runs, or has run; else the reason is told and the time until the next try is over."""
        try:
            if self.spec.get("configError"):
                raise Broken(*self.spec["configError"].split(": ", 1))
            image = self.image()
            self.create(image)
            self.misses = 0
            return True
        except Broken as broken:
            self.complain(broken)
        except Exception as error:
            # Whatever it is, a container is tried again; a thread that died would pass for one that has ended.
            self.complain(Broken("CreateContainerError", "%s: %s" % (type(error).__name__, error)))
        return False

    def complain(self, broken):
        self.misses += 1
        seconds = BACKOFF_SECONDS[min(self.misses, len(BACKOFF_SECONDS) - 1)]
        self.wait_with(broken.reason, str(broken))
        pulling = broken.reason == "ErrImagePull"
        if broken.reason != "ContainerCreating":
            prefix = 'Failed to pull image "%s": ' % self.spec["image"] if pulling else "Error: "
            self.event("Failed", prefix + str(broken), "Warning")
        if pulling and self.hold(2):
            self.wait_with("ImagePullBackOff", 'Back-off pulling image "%s": %s' % (self.spec["image"], broken))
            self.event("BackOff", 'Back-off pulling image "%s"' % self.spec["image"])
        if not self.box.stopping():
            self.hold(seconds)

    def image(self):
        """What to hand to podman: an id that is known to be here, or a name that may be."""
        name, policy, images = canonical(self.spec["image"]), self.spec["pullPolicy"], self.box.images
        self.kept["image"] = name
        known = images.known(name)
        if known and (policy != "Always" or "@" in name):
            self.event("Pulled", 'Container image "%s" already present on machine' % self.spec["image"])
            return known["id"]
        return self.pull(name) if policy == "Always" else name

    def pull(self, name):
        self.event("Pulling", 'Pulling image "%s"' % self.spec["image"])
        began = time.monotonic()
        image = self.box.images.pull(name, self.box.binding.get("registryMirror"))
        took = time.monotonic() - began
        self.event("Pulled", 'Successfully pulled image "%s" in %.3gs' % (self.spec["image"], took))
        return image

    def create(self, image):
        name = canonical(self.spec["image"])
        arguments = self.arguments()
        code, out, error = run_command("podman", "run", *arguments, image, *(self.spec.get("args") or ()))
        if code == 125 and ("not known" in error or "no such image" in error):
            if self.spec["pullPolicy"] == "Never":
                text = 'Container image "%s" is not present with pull policy of Never' % self.spec["image"]
                raise Broken("ErrImageNeverPull", text)
            code, out, error = run_command("podman", "run", *arguments, self.pull(name), *(self.spec.get("args") or ()))
        elif code == 0 and image == name:
            self.event("Pulled", 'Container image "%s" already present on machine' % self.spec["image"])
        if code in (126, 127):
            return self.refuse(last_line(error))
        if code:
            raise Broken("CreateContainerError", last_line(error))
        self.event("Created", "Created container: " + self.name)
        self.began(out.rsplit("\n", 1)[-1])

    def refuse(self, message):
        """The image is fine, its command is not: that counts as a run that ended at once."""
        ended = {"exitCode": 128, "reason": "StartError", "message": message, "startedAt": "1970-01-01T00:00:00Z",
                 "finishedAt": stamp()}
        self.event("Failed", "Error: " + message, "Warning")
        self.turn_run(state={"terminated": ended}, pid=None)

    def turn(self, **fields):
        """A new state; what has ended becomes the last one."""
        with self.box.lock:
            if "terminated" in self.kept["state"]:
                self.kept["last"] = self.kept["state"]
            self.set(**fields)

    def turn_run(self, **fields):
        """The state of a run that has begun; logs are named by its number."""
        with self.box.lock:
            self.kept["restarts"] = self.kept["runs"]
            self.kept["runs"] += 1
            self.turn(boot=self.box.boot, **fields)

    def began(self, container_id):
        try:
            pid = int(read(self.path("pid")) or 0)
        except ValueError:
            pid = 0
        # Where crun runs the container, what it and conmon write is of use; other runtimes are asked through podman.
        told = read(ROOT + "/run/crun/%s/status" % container_id)
        bundle = json.loads(told).get("bundle") if told else None
        self.run = Run()
        self.turn_run(state={"running": {"startedAt": stamp()}}, id=container_id, imageID=self.image_id(), pid=pid,
                      ticks=started_ticks(pid), ready=False, started=False, bundle=bundle)
        self.event("Started", "Started container " + self.name)

    def path(self, ending):
        return "%s/containers/%s.%s" % (RUN, self.name, ending)

    def log_path(self, restarts):
        return "%s/logs/%s/%d.log" % (STATE, self.name, restarts)

    def arguments(self):
        spec, box = self.spec, self.box
        log_path = self.log_path(self.kept["runs"])
        os.makedirs(os.path.dirname(log_path), exist_ok=True)
        for name in os.listdir(os.path.dirname(log_path)):
            if int(name.split(".")[0]) < self.kept["runs"] - 1:
                os.unlink(os.path.join(os.path.dirname(log_path), name))
        remove(self.path("pid"))
        message = self.path("message")
        write(message, b"", 0o666)
        flags = ["--detach", "--replace", "--name=" + self.handle, "--pull=never", "--network=host", "--uts=host",
                 "--ipc=host", "--no-hosts", "--http-proxy=false", "--pids-limit=-1", "--oom-score-adj=300",
                 "--pidfile=" + self.path("pid"), "--log-driver=k8s-file", "--log-opt=path=" + log_path,
                 "--log-opt=max-size=%d" % LOG_BYTES,
                 "--volume=%s/hosts:/etc/hosts" % RUN, "--volume=%s/resolv.conf:/etc/resolv.conf" % RUN,
                 "--volume=%s:%s" % (message, spec["terminationMessagePath"])]
        for mount in spec["mounts"]:
            source = box.folders.get(mount["volume"])
            if source is None:
                raise Broken("CreateContainerConfigError", 'volume "%s" could not be made' % mount["volume"])
            if mount.get("subPath"):
                source = os.path.realpath(inside(source, mount["subPath"]))
                if not os.path.exists(source):
                    os.makedirs(source)
            flags.append("--volume=%s:%s:%s" % (source, mount["path"], "ro" if mount["readOnly"] else "rw"))
        environment = [("HOSTNAME", box.binding["hostname"]), *spec["env"]]
        flags += ["--env=%s=%s" % (name, value) for name, value in environment]
        if spec["cpuMillisMax"]:
            flags.append("--cpus=%.3f" % (spec["cpuMillisMax"] / 1000))
        if spec["memoryBytesMax"]:
            flags += ["--memory=%d" % spec["memoryBytesMax"], "--memory-swap=%d" % spec["memoryBytesMax"]]
        return flags + self.privileges() + self.command()

    def privileges(self):
        spec, drops = self.spec, self.spec["capabilitiesDrop"]
        if spec["privileged"]:
            flags = ["--privileged"]
        else:
            extra = () if "ALL" in drops else [name for name in EXTRA_CAPABILITIES if name not in drops]
            flags = ["--cap-drop=" + name for name in drops]
            flags += ["--cap-add=" + name for name in dict.fromkeys([*extra, *spec["capabilitiesAdd"]])]
            # Kubernetes' own default, too; the machine is the wall here.
            flags += [] if spec.get("seccompDefault") else ["--security-opt=seccomp=unconfined"]
        if spec.get("noNewPrivileges"):
            flags.append("--security-opt=no-new-privileges")
        if spec.get("user"):
            flags.append("--user=" + spec["user"])
        flags += ["--group-add=%d" % group for group in self.box.binding.get("groups") or ()]
        return flags + (["--read-only", "--read-only-tmpfs=false"] if spec["readOnlyRoot"] else [])

    def command(self):
        spec, flags = self.spec, []
        if spec.get("command"):
            flags.append("--entrypoint=" + json.dumps(spec["command"]))
        if spec.get("workingDir"):
            flags.append("--workdir=" + spec["workingDir"])
        return flags + (["--tty"] if spec["tty"] else []) + (["--interactive"] if spec["stdin"] else [])

    def tend(self, adopted):
        """From its start, or the agent's, to its end."""
        run, pid = self.run, self.kept.get("pid")
        try:
            if pid:
                run.pidfd = os.pidfd_open(pid)
                if started_ticks(pid) == self.kept.get("ticks"):
                    if not self.kept.get("imageID"):
                        spawn(self.describe)
                    spawn(self.accompany, run, adopted and self.kept.get("started"))
                    if self.box.stopping():
                        spawn(self.end)
                    poll = select.poll()
                    poll.register(run.pidfd, select.POLLIN)
                    poll.poll()
        except ProcessLookupError:
            pass
        with self.box.lock:
            run.ended.set()
            if run.pidfd is not None:
                os.close(run.pidfd)
        if "running" in self.kept["state"]:
            self.conclude()

    def image_id(self):
        name = self.kept["image"]
        digest = (self.box.images.known(name) or {}).get("digest")
        if not digest:
            return self.kept.get("imageID", "")
        return "%s@%s" % (name.partition("@")[0] if "@" in name else name.rpartition(":")[0], digest)

    def describe(self):
        self.box.images.describe(self.kept["image"])
        self.set(imageID=self.image_id())

    def stop_signal(self):
        return number(self.spec.get("stopSignal") or self.box.images.describe(self.kept["image"]).get("signal", 15))

    def accompany(self, run, was_started):
        """The hook and the probes of one run; `was_started`: an agent before this one has seen it start."""
        if not was_started:
            hook = self.spec.get("postStart")
            failure = self.act(run, hook, self.box.binding["graceSeconds"] or 30) if hook else None
            if failure is not None:
                self.event("FailedPostStartHook", "PostStartHook failed: " + failure, "Warning")
                return self.end(self.box.binding["graceSeconds"])
            if not self.spec.get("startup"):
                self.start(run)
        for kind in ("startup", "readiness", "liveness"):
            if self.spec.get(kind) and not (kind == "startup" and was_started):
                spawn(self.probe, kind, self.spec[kind], run, time.monotonic())

    def start(self, run):
        if not run.ended.is_set():
            self.set(started=True, ready=not self.spec.get("readiness") and run.deadline is None)

    def probe(self, kind, probe, run, began):
        """Counts as Kubernetes does. Before the first success a cheap probe is tried every second too: a machine that
        serves is not kept waiting for the next period, and such a try never counts as a failure."""
        failures = successes = 0
        eager = kind != "liveness" and probe["action"]["kind"] != "exec" and probe["successThreshold"] == 1
        due = began + probe["initialDelaySeconds"]
        while not run.ended.wait(max(0, due - time.monotonic())):
            if kind != "startup" and not self.kept.get("started"):
                due = time.monotonic() + 0.2
                continue
            due = time.monotonic() + probe["periodSeconds"]
            failure = self.act(run, probe["action"], probe["timeoutSeconds"])
            while eager and failure is not None and time.monotonic() + 1 < due and not run.ended.wait(1):
                failure = self.act(run, probe["action"], probe["timeoutSeconds"])
            if run.ended.is_set() or run.deadline is not None:
                return
            successes, failures = (successes + 1, 0) if failure is None else (0, failures + 1)
            if failure is not None:
                self.event("Unhealthy", "%s probe failed: %s" % (kind.capitalize(), failure), "Warning")
            if successes >= probe["successThreshold"]:
                eager = False
                if kind == "startup":
                    return self.start(run)
                if kind == "readiness" and not self.kept["ready"]:
                    self.set(ready=True)
            elif failures >= probe["failureThreshold"]:
                if kind != "readiness":
                    self.event("Killing", "Container %s failed %s probe, will be restarted" % (self.name, kind))
                    return self.end(probe.get("graceSeconds", self.box.binding["graceSeconds"]))
                if self.kept["ready"]:
                    self.set(ready=False)

    def act(self, run, action, seconds):
        kind = action["kind"]
        if kind == "exec":
            file, command = self.exec_command(action["command"])
            try:
                code, out, error = run_command(*command, timeout=seconds)
            except subprocess.TimeoutExpired:
                return 'command timed out: "%s" timed out after %gs' % (" ".join(action["command"]), seconds)
            finally:
                remove(file)
            return None if code == 0 else (out + error)[-1024:] or "command exited with %d" % code
        if kind == "sleep":
            run.ended.wait(min(action["seconds"], seconds))
            return None
        return {"http": http, "tcp": tcp, "grpc": grpc}[kind](action, seconds)

    def exec_command(self, words):
        """(a file to remove afterwards, the command) that runs `words` beside the main process, as what that runs as.
        crun does it at once where podman first takes a second, or five on an emulated machine."""
        container, bundle = self.kept.get("id", ""), self.kept.get("bundle")
        try:
            process = json.loads(read("%s/config.json" % bundle))["process"]
        except (ValueError, KeyError):
            return "", ["podman", "exec", self.handle, *words]
        process.update(args=list(words), terminal=False)
        path = self.path("exec-%d" % time.monotonic_ns())
        write(path, json.dumps(process))
        return path, ["crun", "exec", "--process=" + path, container]

    # Its end

    def end(self, seconds=None):
        """preStop, the stop signal, SIGKILL. Once begun, another call can only shorten it. Returns when it is over."""
        run = self.run
        until = time.monotonic() + (self.box.grace_left() if seconds is None else seconds)
        with self.box.lock:
            first = run.deadline is None
            run.deadline = until if first else min(until, run.deadline)
        if first and not run.ended.is_set():
            self.set(ready=False)
            if self.spec.get("preStop"):
                hook = spawn(self.hook, run)
                while hook.is_alive() and time.monotonic() < run.deadline and not run.ended.is_set():
                    hook.join(0.1)
                if time.monotonic() >= run.deadline:
                    # A hook that took all the time leaves the process a moment to end by itself.
                    run.deadline = time.monotonic() + 2
            self.signal(run, self.stop_signal())
            while not run.ended.wait(max(0, min(0.1, run.deadline - time.monotonic()))):
                if time.monotonic() >= run.deadline:
                    self.signal(run, signal.SIGKILL)
                    break
        run.ended.wait()

    def hook(self, run):
        failure = self.act(run, self.spec["preStop"], max(1, run.deadline - time.monotonic()))
        if failure is not None:
            self.event("FailedPreStopHook", "PreStopHook failed: " + failure, "Warning")

    def signal(self, run, which):
        with self.box.lock:
            if run.pidfd is not None and not run.ended.is_set():
                try:
                    signal.pidfd_send_signal(run.pidfd, which)
                except ProcessLookupError:
                    pass

    def verdict(self):
        """(exit code, whether memory ran out): from conmon's own files, or else from podman, which takes seconds on an
        emulated machine and may know a moment after the kernel."""
        exits, bundle = ROOT + "/run/libpod/exits/" + self.kept.get("id", ""), self.kept.get("bundle")
        for _ in range(10 if bundle else 0):
            text = read(exits).strip()
            if text.isdigit():
                return int(text), os.path.exists(bundle + "/oom")
            time.sleep(0.05)
        facts = {}
        for _ in range(50):
            code, out, _ = run_command("podman", "container", "inspect", "--format={{json .State}}", self.handle)
            facts = json.loads(out) if code == 0 else {}
            if facts.get("Status") not in ("running", "stopping"):
                break
            time.sleep(0.2)
        return facts.get("ExitCode", 255), bool(facts.get("OOMKilled"))

    def conclude(self):
        code, killed = self.verdict()
        began = self.kept["state"].get("running", {}).get("startedAt")
        message = read(self.path("message"))[:MESSAGE_BYTES]
        if not message and code and self.spec.get("messageFromLog"):
            message = b"".join(entries(self.log_path(self.kept["restarts"]), 80)).decode("utf-8", "replace")[-2048:]
        ended = {"exitCode": code, "reason": "OOMKilled" if killed else "Error" if code else "Completed",
                 "startedAt": began, "finishedAt": stamp(), "containerID": "drover://" + self.kept.get("id", "")}
        if message:
            ended["message"] = message
        self.set(state={"terminated": ended}, pid=None, ready=False, started=False)

    def settle(self):
        """Whether this was its last run; if not, the time until the next one is over."""
        ended = self.kept["state"].get("terminated", {})
        policy = self.box.binding["restartPolicy"]
        failed = ended.get("exitCode") != 0
        again = self.kind == "sidecar" or (failed and policy != "Never") or (policy == "Always" and self.kind == "main")
        if not again or self.box.stopping():
            return True
        calm = self.kept.get("id") and seconds_between(ended.get("startedAt"), ended.get("finishedAt")) >= CALM_SECONDS
        level = 0 if calm else self.kept["crashes"]
        self.kept["crashes"] = level + 1
        seconds = BACKOFF_SECONDS[min(level, len(BACKOFF_SECONDS) - 1)]
        if seconds:
            binding = self.box.binding
            whose = "container=%s pod=%s_%s(%s)" % (self.name, binding["name"], binding["namespace"], binding["uid"])
            self.event("BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)" % (
                self.name, binding["name"], binding["namespace"], binding["uid"]), "Warning")
            self.turn(state={"waiting": {"reason": "CrashLoopBackOff",
                                         "message": "back-off %s restarting failed %s" % (in_go(seconds), whose)}})
            return not self.hold(seconds)
        return False


def in_go(seconds):
    """A duration as Go prints it."""
    return "%dm%ds" % divmod(seconds, 60) if seconds >= 60 else "%ds" % seconds


def seconds_between(start, end):
    try:
        return time.mktime(time.strptime(end, "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(
            time.strptime(start, "%Y-%m-%dT%H:%M:%SZ"))
    except (TypeError, ValueError):
        return 0


def started_ticks(pid):
    """When a process began, in ticks since boot: tells it from a later one with the same number."""
    fields = read("/proc/%s/stat" % pid).rpartition(")")[2].split()
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def number(name):
    if isinstance(name, int):
        return name
    return getattr(signal, name, signal.SIGTERM) if not name.isdigit() else int(name)


# --- Logs


def entries(path, last=None):
    """The lines of one run as conmon wrote them: time, stream, P or F, text."""
    parts = rotated(path)
    lines = []
    for part in parts:
        with open(part, "rb") as file:
            for line in file:
                lines.append(line.split(b" ", 3)[-1])
                if last and len(lines) > 2 * last:
                    del lines[:-last]
    return lines[-last:] if last else lines


def rotated(path):
    """The files of one run, oldest first. conmon begins a new file when one is full; a hard link keeps the old one."""
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
    at, _, tag, text = (line.split(b" ", 3) + [b"", b"", b""])[:4]
    at = at.replace(b"+00:00", b"").rstrip(b"Z")
    if since and at < since:
        return None
    if tag == b"P":
        text = text.rstrip(b"\n")
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


# --- The machine


class Box:
    def __init__(self):
        for folder in (STATE + "/volumes", STATE + "/logs", RUN + "/containers"):
            os.makedirs(folder, 0o700, exist_ok=True)
        self.lock = threading.RLock()
        self.news = threading.Condition(self.lock)
        self.version = 0
        self.boot = (read(ROOT + "/proc/sys/kernel/random/boot_id") or read("/proc/sys/kernel/random/boot_id")).strip()
        self.kept = {"containers": {}, "images": {}, "events": [], "nextEvent": 1, "stopping": False, "told": False,
                     "finished": False}
        self.kept.update(json.loads(read(STATE + "/state.json") or "{}"))
        self.images = Images(self.kept["images"], lambda: self.changed(save=True))
        self.binding = json.loads(read(STATE + "/binding.json") or "null")
        self.bound = threading.Event()
        self.idle_until = time.monotonic() + UNBOUND_SECONDS
        self.stop_at = None
        if self.kept["stopping"]:
            self.stop_at = time.monotonic() + max(0, self.kept["stopUntil"] - time.time())
        self.folders = {}
        self.inits, self.mains = [], []

    # State and reports

    def changed(self, save=False):
        with self.lock:
            self.version += 1
            if save:
                write(STATE + "/state.json", json.dumps(self.kept))
            self.news.notify_all()

    def pulse(self):
        with self.lock:
            self.news.notify_all()

    def event(self, reason, message, kind="Normal", container=None):
        with self.lock:
            event = {"id": self.kept["nextEvent"], "type": kind, "reason": reason, "message": message,
                     "atMs": int(time.time() * 1000)}
            if container:
                event["container"] = container
            self.kept["nextEvent"] += 1
            self.kept["events"] = [*self.kept["events"], event][-50:]
            self.changed()

    def report(self):
        with self.lock:
            report = {"version": 1, "agentVersion": VERSION, "bootId": self.boot,
                      "initContainerStatuses": [container.status() for container in self.inits],
                      "containerStatuses": [container.status() for container in self.mains],
                      "finished": self.kept["finished"], "stopping": self.kept["told"], "events": self.kept["events"]}
            if self.binding:
                report["uid"] = self.binding["uid"]
            if self.kept.get("reason"):
                report["reason"] = self.kept["reason"]
            return json.dumps(report)

    def stopping(self):
        return self.kept["stopping"]

    def grace_left(self):
        return max(0, (self.stop_at or 0) - time.monotonic())

    # The Pod

    def bind(self, binding):
        with self.lock:
            if self.binding and self.binding["uid"] != binding["uid"]:
                raise Refused("this machine belongs to the Pod " + self.binding["uid"], "BOX_TAKEN")
            if self.binding == binding:
                return
            first = self.binding is None
            if not first:
                # What was refused may be complete now; what runs stays as it was.
                fresh = {spec["name"]: spec for spec in [*binding["initContainers"], *binding["containers"]]}
                for container in [*self.inits, *self.mains]:
                    if container.spec.get("configError") and container.name in fresh:
                        container.spec.clear()
                        container.spec.update(fresh[container.name])
                        container.misses = 0
                        container.wake.set()
                self.binding["volumes"] = binding["volumes"]
            else:
                self.binding = binding
                self.kept["boundAt"] = time.time()
            write(STATE + "/binding.json", json.dumps(self.binding))
            self.prepare()
            self.changed(save=True)
            if first:
                self.begin()

    def begin(self):
        self.bound.set()
        self.inits = [Container(self, spec, "sidecar" if spec["sidecar"] else "init")
                      for spec in self.binding["initContainers"]]
        self.mains = [Container(self, spec, "main") for spec in self.binding["containers"]]
        spawn(self.live)
        spawn(self.rotate)
        if self.binding["activeDeadlineSeconds"]:
            spawn(self.expire)

    def prepare(self):
        binding = self.binding
        for volume in binding["volumes"]:
            try:
                self.folders[volume["name"]] = prepare_volume(volume, binding.get("fsGroup"))
            except (OSError, Broken) as error:
                self.event("FailedMount", 'volume "%s": %s' % (volume["name"], error), "Warning")
        hosts = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
        hosts += ["%s %s" % (alias["ip"], " ".join(alias["hostnames"])) for alias in binding["hostAliases"]]
        write(RUN + "/hosts", "\n".join(hosts) + "\n", 0o644)
        servers = binding["nameservers"] or [line.split()[1] for line in read("/etc/resolv.conf").splitlines()
                                             if line.startswith("nameserver ")]
        lines = ["nameserver " + server for server in servers]
        lines += ["search " + " ".join(binding["searchDomains"])] if binding["searchDomains"] else []
        lines += ["options " + " ".join(binding.get("resolverOptions") or ["ndots:5"])]
        write(RUN + "/resolv.conf", "\n".join(lines) + "\n", 0o644)
        os.makedirs(ROOT + "/etc", exist_ok=True)
        write(ROOT + "/etc/hostname", binding["hostname"] + "\n", 0o644)
        run_command("hostname", binding["hostname"])

    def live(self):
        while not found("podman"):
            time.sleep(1)
        waiting = []
        for container in self.inits:
            if self.stopping():
                break
            spawn(container.live)
            if container.kind == "sidecar":
                with self.news:
                    while not (container.kept.get("started") or container.finished.is_set() or self.stopping()):
                        self.news.wait(1)
                waiting.append(container)
                continue
            container.finished.wait()
            if container.kept["state"].get("terminated", {}).get("exitCode") != 0:
                break
            container.set(ready=True)
        else:
            for container in self.mains:
                if "waiting" in container.kept["state"]:
                    container.wait_with("ContainerCreating")
                spawn(container.live)
            for container in self.mains:
                container.finished.wait()
        if not self.stopping():
            self.stop(self.binding["graceSeconds"], over=True)
        for container in waiting:
            container.finished.wait()
        with self.lock:
            self.kept["finished"] = True
            self.changed(save=True)

    def stop(self, seconds, reason=None, over=False):
        """`over`: the containers have ended by themselves and only sidecars are left."""
        with self.lock:
            until = time.monotonic() + seconds
            first = self.stop_at is None
            self.stop_at = until if first else min(until, self.stop_at)
            self.kept["stopUntil"] = time.time() + self.grace_left()
            self.kept["told"] = self.kept["told"] or not over
            if not first:
                self.changed(save=True)
                for container in [*self.inits, *self.mains]:
                    if container.run.deadline is not None:
                        container.run.deadline = min(container.run.deadline, self.stop_at)
                return
            if not over:
                for container in [*self.inits, *self.mains]:
                    if container.kept.get("pid"):
                        container.event("Killing", "Stopping container " + container.name)
            self.kept["stopping"] = True
            if reason:
                self.kept["reason"] = reason
            self.changed(save=True)
        spawn(self.drain)

    def drain(self):
        for container in [*self.inits, *self.mains]:
            container.wake.set()
        plain = [spawn(container.end) for container in [*self.inits, *self.mains]
                 if container.kind != "sidecar" and container.kept.get("pid")]
        for thread in plain:
            thread.join()
        for container in reversed(self.inits):
            if container.kind == "sidecar" and container.kept.get("pid"):
                container.end(max(2, self.grace_left()))

    def update(self, volumes):
        with self.lock:
            if not self.binding:
                raise Refused("no Pod is bound to this machine")
            fresh = {volume["name"]: volume for volume in volumes}
            self.binding["volumes"] = [fresh.get(volume["name"], volume) for volume in self.binding["volumes"]]
            write(STATE + "/binding.json", json.dumps(self.binding))
            for volume in volumes:
                self.folders[volume["name"]] = prepare_volume(volume, self.binding.get("fsGroup"))

    def expire(self):
        left = self.kept["boundAt"] + self.binding["activeDeadlineSeconds"] - time.time()
        time.sleep(max(0, left))
        if not self.stopping():
            self.event("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            self.stop(self.binding["graceSeconds"], "DeadlineExceeded")

    def rotate(self):
        while True:
            for container in [*self.inits, *self.mains]:
                path = container.log_path(container.kept["restarts"])
                if os.path.exists(path):
                    keep_rotated(path)
            time.sleep(ROTATE_SECONDS)

    def idle(self):
        """A machine that nobody wants costs money: it powers itself off."""
        while not self.bound.wait(max(0, self.idle_until - time.monotonic())):
            if time.monotonic() >= self.idle_until:
                log("no Pod came within %d s" % UNBOUND_SECONDS)
                run_command("systemctl", "poweroff")
                return

    # Requests

    def serve(self, link):
        with link:
            try:
                line = link.makefile("rb").readline()
                request = json.loads(line)
                getattr(self, "on_" + request["op"])(link, request)
            except (Refused, Broken) as error:
                answer(link, error={"code": getattr(error, "code", "BOX_REFUSED"), "message": str(error)})
            except (BrokenPipeError, ConnectionResetError):
                pass
            except Exception as error:
                answer(link, error={"code": "BOX_REFUSED", "message": "%s: %s" % (type(error).__name__, error)})

    def on_bind(self, link, request):
        self.bind(request["binding"])
        answer(link)

    def on_update(self, link, request):
        self.update(request["volumes"])
        answer(link)

    def on_stop(self, link, request):
        if not self.binding:
            raise Refused("no Pod is bound to this machine")
        self.stop(request["graceSeconds"])
        answer(link)

    def on_fetch(self, link, request):
        """Images ahead of a Pod, for a machine that is to be copied."""
        self.idle_until = time.monotonic() + UNBOUND_SECONDS
        while not found("podman"):
            time.sleep(1)
        failures = []
        for image in request["images"]:
            try:
                name = canonical(image)
                if not self.images.known(name):
                    self.images.pull(name, request.get("registryMirror"))
                self.images.describe(name)
            except Broken as broken:
                failures.append("%s: %s" % (image, broken))
        if failures:
            raise Refused("; ".join(failures))
        answer(link)

    def on_watch(self, link, _):
        answer(link)
        told = None
        while True:
            with self.lock:
                if self.version == told:
                    self.news.wait(HEARTBEAT_SECONDS)
                changed, told = self.version != told, self.version
                text = self.report() if changed else ""
            link.sendall(text.encode() + b"\n")
            time.sleep(0.05)

    def named(self, name):
        for container in [*self.inits, *self.mains]:
            if container.name == name:
                return container
        raise Refused("container %s is not valid for this Pod" % name)

    def on_exec(self, link, request):
        """Gets a command ready that the client then runs by SSH; `file` is its to remove."""
        container = self.named(request["container"])
        file, _ = container.exec_command(request["command"])
        answer(link, file=file, id=container.kept.get("id", ""))

    def on_logs(self, link, request):
        container = self.named(request["container"])
        restarts = container.kept["restarts"]
        # Between two runs the one that has ended is both the newest and the previous one.
        earlier = request.get("previous") and "waiting" not in container.kept["state"]
        path = container.log_path(restarts - 1 if earlier else restarts)
        if not rotated(path):
            whose = 'container "%s" in pod "%s"' % (container.name, self.binding["name"])
            waiting = container.kept["state"].get("waiting", {})
            if request.get("previous"):
                raise Refused('previous terminated container "%s" in pod "%s" not found' % (
                    container.name, self.binding["name"]))
            if waiting.get("reason") != "CrashLoopBackOff":
                why = waiting.get("message") or waiting.get("reason", "")
                raise Refused("%s is waiting to start: %s" % (whose, why))
        answer(link)
        live = lambda: not request.get("previous") and container.kept["restarts"] == restarts and bool(
            container.kept.get("pid"))
        send_logs(link, path, live, request)


def answer(link, error=None, **more):
    try:
        link.sendall((json.dumps({"error": error} if error else {"ok": True, **more}) + "\n").encode())
    except OSError:
        pass


def show_host_key():
    """On the console, where drover reads it before the first connection; cloud-init shows it too, but later."""
    try:
        import hashlib

        key = read(ROOT + "/etc/ssh/ssh_host_ed25519_key.pub").split()
        digest = binascii.b2a_base64(hashlib.sha256(binascii.a2b_base64(key[1])).digest()).decode().strip().rstrip("=")
        with open(ROOT + "/dev/console", "w") as console:
            console.write("\n-----BEGIN SSH HOST KEY FINGERPRINTS-----\n256 SHA256:%s (ED25519)\n"
                          "-----END SSH HOST KEY FINGERPRINTS-----\n" % digest)
    except (OSError, IndexError, ValueError):
        pass


def main():
    box = Box()
    path = RUN + "/agent.sock"
    remove(path)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    os.chmod(path, 0o600)
    server.listen(64)
    spawn(show_host_key)
    if box.binding:
        box.prepare()
        box.begin()
    else:
        spawn(box.idle)
    while True:
        link, _ = server.accept()
        spawn(box.serve, link)


if __name__ == "__main__":
    main()
