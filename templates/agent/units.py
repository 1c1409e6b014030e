# --- Containers without containers: programs of the machine itself, each in a unit of systemd's

CATALOG = "/opt/drover/catalog.json"
INSTALLED = "/opt/drover/installed"
# What a container may do in Kubernetes unless it says otherwise.
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE",
                "NET_RAW", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def escaped(path):
    """A path in a property of a unit that is a list."""
    return "".join("\\" + letter if letter in " \"'\\:" else letter for letter in path)


class Units:
    """The catalog says which packages stand in for an image and how they are started; an image that is not in it is the
    machine image itself, where what is not told to run runs already."""

    def __init__(self, box):
        self.box = box
        self.catalog = json.loads(read(ROOT + CATALOG) or "{}")

    def ready(self):
        return not self.catalog or os.path.exists(ROOT + INSTALLED)

    def fetch(self, image, mirror):
        pass

    def entry(self, container):
        return self.catalog.get(container.spec["image"]) or {"command": ["sleep", "infinity"]}

    def image(self, container):
        spec, package = container.spec, self.entry(container).get("package")
        container.kept["image"] = spec["image"]
        if package and not container.kept.get("imageID"):
            code, version, _ = run_command("dpkg-query", "--show", "--showformat=${Version}", package)
            if code:
                _, version, _ = run_command("rpm", "--query", "--queryformat=%{VERSION}-%{RELEASE}", package)
            container.kept["imageID"] = "package:%s@%s" % (package, version)
            container.event("Pulled", 'Image "%s" is the package %s %s here' % (spec["image"], package, version))

    def image_id(self, container):
        return container.kept.get("imageID") or container.spec["image"]

    def describe(self, container):
        pass

    def stop_signal(self, container):
        return self.entry(container).get("stopSignal", "SIGTERM")

    def unit(self, container):
        return "drover-%s-%d.service" % (container.handle, container.kept["runs"])

    def words(self, container):
        spec, entry = container.spec, self.entry(container)
        words = spec.get("command") or entry.get("entrypoint", [])
        return [*words, *(spec.get("args") or ([] if spec.get("command") else entry.get("command", [])))]

    def identity(self, container):
        """Who the program is and what it may do. systemd would refuse numbers that the machine has no names for."""
        import pwd

        spec = container.spec
        user, _, group = (spec.get("user") or self.entry(container).get("user") or "0").partition(":")
        try:
            found_user = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
            uid, gid = found_user.pw_uid, found_user.pw_gid
        except KeyError:
            if not user.isdigit():
                raise Unstartable("unable to find user %s: no matching entry in passwd file" % user)
            uid, gid = int(user), 0
        gid = int(group) if group else gid
        groups = ",".join(str(each) for each in dict.fromkeys([gid, *(self.box.binding.get("groups") or ())]))
        words = ["setpriv", "--reuid=%d" % uid, "--regid=%d" % gid, "--groups=" + groups]
        if not spec["privileged"]:
            drops = spec["capabilitiesDrop"]
            names = [name for name in CAPABILITIES if name not in drops and "ALL" not in drops]
            names = dict.fromkeys([*names, *spec["capabilitiesAdd"]])
            words.append("--bounding-set=" + ",".join(["-all", *("+" + name.lower() for name in names)]))
        return words

    def environment(self, container):
        given = {"PATH": PATH, "HOME": "/root", "HOSTNAME": self.box.binding["hostname"]}
        given.update(self.entry(container).get("env", {}))
        given.update(container.spec["env"])
        return [*self.identity(container), "env", "-i", *("%s=%s" % pair for pair in given.items())]

    def start(self, container, image):
        words = self.words(container)
        if not (found(words[0]) if "/" not in words[0] else os.access(words[0], os.X_OK)):
            raise Unstartable('exec: "%s": executable file not found in $PATH' % words[0])
        exit_path, unit = container.path("exit"), self.unit(container)
        remove(exit_path)
        properties = ["--property=" + each for each in self.properties(container)]
        # systemd reads a dollar as a variable's, and two as one.
        command = [word.replace("$", "$$") for word in [*self.environment(container), *words]]
        subprocess.Popen(
            [sys.executable, "-S", "-E", os.path.abspath(__file__), "keep", container.log_path(container.kept["runs"]),
             exit_path, unit, *properties, "--", *command],
            stdin=subprocess.DEVNULL, start_new_session=True)
        return "%s-%d" % (container.name, container.kept["runs"])

    def started(self, container, container_id):
        unit = "drover-c-%s.service" % container_id
        for _ in range(100):
            _, pid, _ = run_command("systemctl", "show", "--property=MainPID", "--value", unit)
            if pid not in ("", "0") or os.path.exists(container.path("exit")):
                return {"pid": pid}
            time.sleep(0.1)
        raise Broken("CreateContainerError", "systemd did not start " + unit)

    def properties(self, container):
        spec = container.spec
        properties = ["KillSignal=SIGKILL", "OOMScoreAdjust=300"]
        for source, path, read_only in [*container.mounts(), *((*pair, False) for pair in container.devices())]:
            self.place(source, path)
            kind = "BindReadOnlyPaths" if read_only else "BindPaths"
            properties.append("%s=%s:%s" % (kind, escaped(source), escaped(path)))
        if spec["cpuMillisMax"]:
            properties.append("CPUQuota=%d%%" % max(1, spec["cpuMillisMax"] // 10))
        if spec["memoryBytesMax"]:
            properties += ["MemoryMax=%d" % spec["memoryBytesMax"], "MemorySwapMax=0"]
        properties += ["NoNewPrivileges=yes"] if spec.get("noNewPrivileges") else []
        properties += ["WorkingDirectory=" + spec["workingDir"]] if spec.get("workingDir") else []
        return properties + (["ProtectSystem=strict"] if spec["readOnlyRoot"] else [])

    def place(self, source, path):
        """Something that can be mounted over."""
        target = ROOT + path
        if not os.path.lexists(target):
            os.makedirs(target if os.path.isdir(source) else os.path.dirname(target), exist_ok=True)
            if not os.path.isdir(source):
                open(target, "a").close()

    def exec_command(self, container, words, stdin=False, tty=False):
        if not words:
            raise Refused("there is no container to attach to; use logs or exec")
        pid = str(container.kept.get("pid") or 0)
        return "", ["nsenter", "--target", pid, "--mount", "--", *self.environment(container), *words]

    def verdict(self, container):
        for _ in range(100):
            told = read(container.path("exit")).split()
            if told:
                return int(told[0]), told[1] == "oom-kill"
            time.sleep(0.1)
        return 255, False


def keep(log_path, exit_path, unit, *words):
    """Runs a unit to its end, beside the agent and not as a part of it: writes its log and how it ended. What asks for
    no bus works on machines that have none, so the output comes through pipes with names. The start of a `oneshot` is
    over when its program is, and no signal counts as a good end of it."""
    turn, copies, held, flags = threading.Lock(), [], [], []
    for name, key in (("stdout", "Output"), ("stderr", "Error")):
        pipe = "%s.%s" % (exit_path, name)
        remove(pipe)
        os.mkfifo(pipe, 0o600)
        source = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        held.append(os.open(pipe, os.O_WRONLY))
        os.set_blocking(source, True)
        copies.append(spawn(keep_log, turn, log_path, name, os.fdopen(source, "rb")))
        flags.append("--property=Standard%s=file:%s" % (key, pipe))
    code, _, error = run_command("systemd-run", "--quiet", "--service-type=oneshot", "--unit=" + unit, *flags, *words)
    log(error)
    facts = {}
    while facts.get("ActiveState") not in ("inactive", "failed"):
        # As a rule once; the wait is for a systemd that has replaced itself by a newer one.
        time.sleep(1 if facts else 0)
        _, out, _ = run_command("systemctl", "show", "--property=ActiveState,Result,ExecMainCode,ExecMainStatus", unit)
        facts = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    for end in held:
        os.close(end)
    for copy in copies:
        copy.join()
    status = int(facts.get("ExecMainStatus") or 0)
    # A unit that ended well is forgotten at once; 1 is systemd's word for "by itself", the others are signals.
    code = 128 + status if facts.get("ExecMainCode") in ("2", "3") else status or code
    write(exit_path, "%d %s" % (code, facts.get("Result", "")))
    run_command("systemctl", "reset-failed", unit)


def keep_log(turn, path, name, source):
    for line in iter(lambda: source.readline(16384), b""):
        now = time.time_ns()
        at = "%s.%09d+00:00" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)), now % 10**9)
        tag = "F" if line[-1:] == b"\n" else "P"
        with turn:
            if os.path.exists(path) and os.stat(path).st_size > LOG_BYTES:
                keep_rotated(path)
                remove(path)
            with open(path, "ab") as file:
                file.write(("%s %s %s " % (at, name, tag)).encode() + line.rstrip(b"\n") + b"\n")


ENGINES.append(Units)
