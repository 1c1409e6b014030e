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
        self.engines = [engine(self) for engine in ENGINES]
        self.engine = self.engines[0]
        self.binding = json.loads(read(STATE + "/binding.json") or "null")
        self.bound = threading.Event()
        self.idle_until = time.monotonic() + UNBOUND_SECONDS
        self.stop_at = None
        if self.kept["stopping"]:
            self.stop_at = time.monotonic() + max(0, self.kept["stopUntil"] - time.time())
        self.parts = json.loads(read(STATE + "/parts.json") or "{}")
        self.loaded = set()
        self.mounting = threading.Lock()
        self.folders, self.notice = {}, None
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
            if self.notice:
                report["notice"] = self.notice
            return json.dumps(report)

    def stopping(self):
        return self.kept["stopping"]

    def grace_left(self):
        return max(0, (self.stop_at or 0) - time.monotonic())

    # The Pod

    def bind(self, binding, parts):
        with self.lock:
            if self.binding and self.binding["uid"] != binding["uid"]:
                raise Refused("this machine belongs to the Pod " + self.binding["uid"], "BOX_TAKEN")
            if self.binding == binding:
                return
            first = self.binding is None
            self.parts.update(parts)
            write(STATE + "/parts.json", json.dumps(self.parts))
            if not first:
                # What was refused may be complete now; what runs stays as it was.
                fresh = {spec["name"]: spec for spec in [*binding["initContainers"], *binding["containers"]]}
                for container in [*self.inits, *self.mains]:
                    if container.spec.get("configError") and container.name in fresh:
                        container.spec.clear()
                        container.spec.update(fresh[container.name])
                        container.misses = 0
                        container.wake.set()
                self.binding.update(volumes=binding["volumes"], redirects=binding.get("redirects"))
            else:
                self.binding = binding
                self.kept["boundAt"] = time.time()
            write(STATE + "/binding.json", json.dumps(self.binding))
            self.prepare()
            self.changed(save=True)
            if first:
                self.begin()
            else:
                spawn(self.mount_disks)

    def begin(self):
        self.bound.set()
        self.inits = [Container(self, spec, "sidecar" if spec["sidecar"] else "init")
                      for spec in self.binding["initContainers"]]
        self.mains = [Container(self, spec, "main") for spec in self.binding["containers"]]
        spawn(self.live)
        spawn(self.rotate)
        if self.binding["activeDeadlineSeconds"]:
            spawn(self.expire)

    def load(self):
        """What this Pod needs of the agent beyond what every machine has."""
        for name in self.parts:
            if name not in self.loaded:
                self.loaded.add(name)
                exec(compile(self.parts[name], name, "exec"), globals())
        while WATCHERS:
            spawn(WATCHERS.pop(), self)

    def redirect(self, redirects, known=False):
        for function in REDIRECTS:
            self.attempt("FailedRedirect", "", function, redirects or (), known)

    def prepare(self):
        self.load()
        binding = self.binding
        for volume in binding["volumes"]:
            if volume["kind"] != "disk":
                self.attempt("FailedMount", 'volume "%s": ' % volume["name"], self.prepare_volume, volume)
        self.redirect(binding.get("redirects"))
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

    def attempt(self, reason, prefix, function, *arguments):
        """Whether it went well; if not, an Event says why."""
        try:
            function(*arguments)
            return True
        except (OSError, Broken) as error:
            self.event(reason, prefix + str(error), "Warning")
        return False

    def prepare_volume(self, volume):
        self.folders[volume["name"]] = prepare_volume(volume, self.binding.get("fsGroup"))

    def disks(self):
        return [volume for volume in self.binding["volumes"] if volume["kind"] == "disk"]

    def mount_disks(self):
        """Containers wait for their disks, however long it takes to attach them."""
        with self.mounting:
            for volume in self.disks():
                for mount, _ in DISKS:
                    waits = 1
                    while not self.stopping() and not self.attempt(
                            "FailedMount", 'volume "%s": ' % volume["name"], mount, self, volume):
                        time.sleep(waits)
                        waits = min(2 * waits, 30)
        for container in [*self.inits, *self.mains]:
            if container.misses and container.kept["state"].get("waiting", {}).get("reason") == "ContainerCreating":
                container.misses = 0
                container.wake.set()

    def unmount_disks(self):
        """Nobody may take a disk away that is still written to, so the Pod's end waits for it."""
        for volume in self.disks():
            for _, unmount in DISKS:
                tries = 30
                while tries and not self.attempt(
                        "FailedUnmount", 'volume "%s": ' % volume["name"], unmount, volume):
                    time.sleep(1)
                    tries -= 1

    def find_engine(self):
        """Waits for the packages that run containers."""
        while not self.engine.ready():
            self.engine = next((engine for engine in self.engines if engine.ready()), self.engine)
            time.sleep(0 if self.engine.ready() else 1)

    def live(self):
        self.find_engine()
        self.mount_disks()
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
        self.unmount_disks()
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

    def update(self, volumes, redirects=None):
        with self.lock:
            if not self.binding:
                raise Refused("no Pod is bound to this machine")
            fresh = {volume["name"]: volume for volume in volumes if volume["kind"] != "disk"}
            self.binding["volumes"] = [fresh.get(volume["name"], volume) for volume in self.binding["volumes"]]
            before = self.binding.get("redirects") or []
            self.binding["redirects"] = before if redirects is None else redirects
            write(STATE + "/binding.json", json.dumps(self.binding))
            for volume in fresh.values():
                self.prepare_volume(volume)
            if self.binding["redirects"] != before:
                self.redirect(self.binding["redirects"], known=True)
        for volume in volumes:
            if volume["kind"] == "disk" and self.folders.get(volume["name"]):
                with self.mounting:
                    for mount, _ in DISKS:
                        mount(self, volume)

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
                keep_linked(path, container.kept.get("logSource"))
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
        self.bind(request["binding"], request.get("parts") or {})
        answer(link)

    def on_update(self, link, request):
        self.update(request["volumes"], request.get("redirects"))
        answer(link)

    def on_stop(self, link, request):
        if not self.binding:
            raise Refused("no Pod is bound to this machine")
        self.stop(request["graceSeconds"])
        answer(link)

    def on_fetch(self, link, request):
        """Images ahead of a Pod, for a machine that is to be copied."""
        self.idle_until = time.monotonic() + UNBOUND_SECONDS
        self.find_engine()
        failures = []
        for image in request["images"]:
            try:
                self.engine.fetch(image, request.get("registryMirror"))
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
        """Gets a command ready that the client then runs by SSH; `file` is its to remove. Without words it attaches."""
        container = self.named(request["container"])
        stdin, tty = bool(request.get("stdin")), bool(request.get("tty"))
        file, command = self.engine.exec_command(container, request["command"], stdin, tty)
        answer(link, file=file, command=command)

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
            if waiting and waiting.get("reason") != "CrashLoopBackOff":
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
    if sys.argv[1:2] == ["keep"]:
        return keep(*sys.argv[2:])
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
