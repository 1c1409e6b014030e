# --- podman


class Podman(Oci):
    """Where crun runs the container, what it and conmon write is of use: podman itself takes a second for an answer, or
    five on an emulated machine."""

    program, mirror_flags, gpu_flag = "podman", ("--tls-verify=false",), "--device=nvidia.com/gpu=all"

    def pulled(self, source, out):
        return out.rsplit("\n", 1)[-1]

    def complaint(self, error):
        return error.rsplit("\n", 1)[-1].removeprefix("Error: ")

    def command(self, spec):
        entry = ["--entrypoint=" + json.dumps(spec["command"])] if spec.get("command") else []
        return entry, spec.get("args") or ()

    def find_gpus(self):
        """podman knows them by a description, which newer toolkits write by themselves."""
        known = any(os.path.exists(ROOT + folder + "/cdi/nvidia.yaml") for folder in ("/etc", "/run"))
        if not known and found("nvidia-ctk"):
            run_command("nvidia-ctk", "cdi", "generate", "--output=%s/run/cdi/nvidia.yaml" % ROOT)

    def own_flags(self, container):
        if container.spec.get("gpus"):
            self.find_gpus()
        flags = ["--replace", "--no-hosts", "--http-proxy=false", "--pidfile=" + container.path("pid"),
                 "--log-driver=k8s-file", "--log-opt=path=" + container.log_path(container.kept["runs"]),
                 "--log-opt=max-size=%d" % LOG_BYTES]
        return flags + ["--read-only-tmpfs=false"] * container.spec["readOnlyRoot"]

    def started(self, container, container_id):
        told = read(ROOT + "/run/crun/%s/status" % container_id)
        return {"pid": read(container.path("pid")), "bundle": json.loads(told).get("bundle") if told else None}

    def exec_command(self, container, words, stdin=False, tty=False):
        try:
            process = json.loads(read("%s/config.json" % container.kept.get("bundle")))["process"]
        except (ValueError, KeyError):
            process = None
        if not process or tty or not words:
            return super().exec_command(container, words, stdin, tty)
        process.update(args=list(words), terminal=False)
        path = container.path("exec-%d" % time.monotonic_ns())
        write(path, json.dumps(process))
        return path, ["crun", "exec", "--process=" + path, container.kept["id"]]

    def verdict(self, container):
        exits, bundle = ROOT + "/run/libpod/exits/" + container.kept.get("id", ""), container.kept.get("bundle")
        for _ in range(10 if bundle else 0):
            text = read(exits).strip()
            if text.isdigit():
                return int(text), os.path.exists(bundle + "/oom")
            time.sleep(0.05)
        return super().verdict(container)


ENGINES.append(Podman)
