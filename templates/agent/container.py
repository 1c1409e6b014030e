# --- A container


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
            self.create(self.box.engine.image(self))
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

    def create(self, image):
        os.makedirs(os.path.dirname(self.log_path(0)), exist_ok=True)
        for name in os.listdir(os.path.dirname(self.log_path(0))):
            if int(name.split(".")[0]) < self.kept["runs"] - 1:
                os.unlink(os.path.join(os.path.dirname(self.log_path(0)), name))
        remove(self.path("pid"))
        write(self.path("message"), b"", 0o666)
        try:
            container_id = self.box.engine.start(self, image)
        except Unstartable as error:
            return self.refuse(str(error))
        self.event("Created", "Created container: " + self.name)
        self.began(container_id)

    def refuse(self, message):
        """A command that can't be started counts as a run that ended at once."""
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
        facts = self.box.engine.started(self, container_id)
        try:
            pid = int(facts.pop("pid") or 0)
        except ValueError:
            pid = 0
        self.run = Run()
        self.turn_run(state={"running": {"startedAt": stamp()}}, id=container_id, imageID=self.image_id(), pid=pid,
                      ticks=started_ticks(pid), ready=False, started=False, **facts)
        self.event("Started", "Started container " + self.name)

    def path(self, ending):
        return "%s/containers/%s.%s" % (RUN, self.name, ending)

    def log_path(self, restarts):
        return "%s/logs/%s/%d.log" % (STATE, self.name, restarts)

    def mounts(self):
        """(source, path inside, whether it is read-only; None: as it comes)."""
        mounts = [(RUN + "/hosts", "/etc/hosts", None), (RUN + "/resolv.conf", "/etc/resolv.conf", None),
                  (self.path("message"), self.spec["terminationMessagePath"], None)]
        for mount in self.spec["mounts"]:
            source = self.source(mount["volume"])
            if mount.get("subPath"):
                source = os.path.realpath(inside(source, mount["subPath"]))
                if not os.path.exists(source):
                    os.makedirs(source)
            mounts.append((source, mount["path"], mount["readOnly"]))
        return mounts

    def devices(self):
        return [(self.source(device["volume"]), device["path"]) for device in self.spec.get("devices") or ()]

    def source(self, volume):
        source = self.box.folders.get(volume)
        if source is None and any(disk["name"] == volume for disk in self.box.disks()):
            raise Broken("ContainerCreating", 'waiting for the disk of the volume "%s"' % volume)
        if source is None:
            raise Broken("CreateContainerConfigError", 'volume "%s" could not be made' % volume)
        return source

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
        return self.box.engine.image_id(self)

    def describe(self):
        self.box.engine.describe(self)
        self.set(imageID=self.image_id())

    def stop_signal(self):
        return number(self.spec.get("stopSignal") or self.box.engine.stop_signal(self))

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
            file, command = self.box.engine.exec_command(self, action["command"])
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
        return PROBES[kind](action, seconds)

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

    def conclude(self):
        code, killed = self.box.engine.verdict(self)
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
