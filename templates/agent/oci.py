# --- Containers from OCI images

# What Kubernetes' runtimes grant and podman does not.
EXTRA_CAPABILITIES = ("AUDIT_WRITE", "MKNOD", "NET_RAW")


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


class Oci:
    """Containers by a command line as podman, docker and nerdctl share it. What is known of an image, by its whole
    name, is kept: a start needs to ask nobody, and a digest is never pulled twice."""

    program, mirror_flags, gpu_flag = "", (), "--gpus=all"

    def __init__(self, box):
        self.box, self.kept, self.turn = box, box.kept["images"], threading.Lock()

    def ready(self):
        return found(self.program)

    def call(self, *words):
        return run_command(self.program, *words)

    # Images

    def fetch(self, image, mirror):
        name = canonical(image)
        if name not in self.kept:
            self.pull(name, mirror)
        self.facts(name)

    def pull(self, name, mirror):
        """What to hand to `run`. The mirror is asked first, under the image's whole name."""
        with self.turn:
            sources = [[*self.mirror_flags, mirror + "/" + name]] if mirror else []
            for source in [*sources, [name]]:
                code, out, error = self.call("pull", "--quiet", *source)
                if code == 0:
                    image = self.pulled(source[-1], out)
                    if source != [name] and "@" not in name:
                        self.call("tag", image, name)
                    self.kept[name] = {"id": image}
                    self.box.changed(save=True)
                    return image
            raise Broken("ErrImagePull", error)

    def inspect(self, image):
        code, out, _ = self.call("image", "inspect", image)
        return json.loads(out)[0] if code == 0 else {}

    def facts(self, name):
        """id, digest and stop signal."""
        known = self.kept.get(name, {})
        if "digest" not in known:
            facts = self.inspect(known.get("id", name))
            if not facts:
                return known
            digest = facts.get("Digest") or (facts.get("RepoDigests") or [""])[0].partition("@")[2]
            known = {"id": known.get("id", facts["Id"]), "digest": digest,
                     "signal": (facts.get("Config") or {}).get("StopSignal") or "SIGTERM"}
            self.kept[name] = known
            self.box.changed(save=True)
        return known

    def describe(self, container):
        self.facts(container.kept["image"])

    def image_id(self, container):
        name = container.kept["image"]
        digest = self.kept.get(name, {}).get("digest")
        if not digest:
            return container.kept.get("imageID", "")
        return "%s@%s" % (name.partition("@")[0] if "@" in name else name.rpartition(":")[0], digest)

    def stop_signal(self, container):
        return self.facts(container.kept["image"]).get("signal", 15)

    def image(self, container):
        """What to hand to `run`: an image that is known to be here, or a name that may be."""
        spec = container.spec
        name = container.kept["image"] = canonical(spec["image"])
        known = self.kept.get(name)
        if known and (spec["pullPolicy"] != "Always" or "@" in name):
            container.event("Pulled", 'Container image "%s" already present on machine' % spec["image"])
            return known["id"]
        return self.pull_for(container, name) if spec["pullPolicy"] == "Always" else name

    def pull_for(self, container, name):
        container.event("Pulling", 'Pulling image "%s"' % container.spec["image"])
        began = time.monotonic()
        image = self.pull(name, self.box.binding.get("registryMirror"))
        took = time.monotonic() - began
        container.event("Pulled", 'Successfully pulled image "%s" in %.3gs' % (container.spec["image"], took))
        return image

    # Runs

    def start(self, container, image):
        """Runs a container of `image` in place of any earlier one. Its id."""
        spec, name = container.spec, container.kept["image"]
        flags = self.flags(container)
        entry, words = self.command(spec)
        flags += entry
        self.clear(container)
        code, out, error = self.call("run", *flags, image, *words)
        if code and any(sign in error.lower() for sign in ("not known", "no such image", "image not available")):
            if spec["pullPolicy"] == "Never":
                text = 'Container image "%s" is not present with pull policy of Never' % spec["image"]
                raise Broken("ErrImageNeverPull", text)
            code, out, error = self.call("run", *flags, self.pull_for(container, name), *words)
        elif code == 0 and image == name:
            container.event("Pulled", 'Container image "%s" already present on machine' % spec["image"])
        if code in (126, 127) or (code and "executable file" in error):
            raise Unstartable(self.complaint(error))
        if code:
            raise Broken("CreateContainerError", self.complaint(error))
        return out.rsplit("\n", 1)[-1]

    def clear(self, container):
        pass

    def flags(self, container):
        spec, box = container.spec, self.box
        if spec.get("gpus") and not found("nvidia-smi"):
            raise Broken("CreateContainerError", "the machine image has no NVIDIA driver: drover.dev/image names another")
        flags = ["--detach", "--name=" + container.handle, "--pull=never", "--network=host", "--uts=host", "--ipc=host",
                 "--pids-limit=-1", "--oom-score-adj=300", *self.own_flags(container)]
        flags += ["--volume=%s:%s%s" % (source, path, {True: ":ro", False: ":rw", None: ""}[read_only])
                  for source, path, read_only in container.mounts()]
        flags += ["--device=%s:%s" % pair for pair in container.devices()]
        flags += [self.gpu_flag] if spec.get("gpus") else []
        environment = [("HOSTNAME", box.binding["hostname"]), *spec["env"]]
        flags += ["--env=%s=%s" % (name, value) for name, value in environment]
        if spec["cpuMillisMax"]:
            flags.append("--cpus=%.3f" % (spec["cpuMillisMax"] / 1000))
        if spec["memoryBytesMax"]:
            flags += ["--memory=%d" % spec["memoryBytesMax"], "--memory-swap=%d" % spec["memoryBytesMax"]]
        flags += ["--workdir=" + spec["workingDir"]] if spec.get("workingDir") else []
        return flags + self.privileges(spec) + ["--tty"] * spec["tty"] + ["--interactive"] * spec["stdin"]

    def privileges(self, spec):
        drops = spec["capabilitiesDrop"]
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
        return flags + ["--read-only"] * spec["readOnlyRoot"]

    def exec_command(self, container, words, stdin=False, tty=False):
        """(a file to remove afterwards, the command) that runs `words` beside the main process; without words, that
        attaches to it."""
        if not words:
            still = [] if stdin else ["--no-stdin"]
            return "", [self.program, "attach", "--sig-proxy=false", "--detach-keys=", *still, container.handle]
        flags = ["--interactive"] * stdin + ["--tty"] * tty
        return "", [self.program, "exec", *flags, container.handle, *words]

    def verdict(self, container):
        """(exit code, whether memory ran out). The program may know a moment after the kernel."""
        facts = {}
        for _ in range(50):
            code, out, _ = self.call("container", "inspect", "--format={{json .State}}", container.handle)
            facts = json.loads(out) if code == 0 else {}
            if facts.get("Status") not in ("running", "stopping"):
                break
            time.sleep(0.2)
        return facts.get("ExitCode", 255), bool(facts.get("OOMKilled"))
