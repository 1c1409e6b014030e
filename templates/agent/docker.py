# --- docker


class Docker(Oci):
    """Its daemon keeps each log in a folder of its own, as JSON; the Pod's log is a second name of that file."""

    program = "docker"

    def ready(self):
        """The daemon may come after the command."""
        return found(self.program) and not self.call("version")[0]

    def pulled(self, source, out):
        return self.inspect(source).get("Id", source)

    def complaint(self, error):
        line = error.split("\n", 1)[0]
        return line.partition("daemon: ")[2] or line

    def command(self, spec):
        first, *rest = spec.get("command") or [None]
        return ["--entrypoint=" + first] if first else [], [*rest, *(spec.get("args") or ())]

    def own_flags(self, container):
        return ["--log-driver=json-file", "--log-opt=max-size=%d" % LOG_BYTES, "--log-opt=max-file=2"]

    def clear(self, container):
        self.call("rm", "--force", container.handle)

    def started(self, container, container_id):
        code, out, _ = self.call("container", "inspect", container.handle)
        facts = json.loads(out)[0] if code == 0 else {}
        source = facts.get("LogPath") or ""
        keep_linked(container.log_path(container.kept["runs"]), source)
        return {"pid": facts.get("State", {}).get("Pid"), "logSource": source}


ENGINES.append(Docker)
