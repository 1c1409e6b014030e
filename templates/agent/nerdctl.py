# --- nerdctl, which is containerd's


class Nerdctl(Docker):
    """Images go by name, for an id is not taken everywhere; the log is where it is told to be."""

    program = "nerdctl"

    def pulled(self, source, out):
        return source

    def complaint(self, error):
        return error.rsplit("\n", 1)[-1].partition("msg=")[2].strip('"') or error.rsplit("\n", 1)[-1]

    def source(self, container):
        return container.log_path(container.kept["runs"]).removesuffix(".log") + ".json"

    def own_flags(self, container):
        return ["--pidfile=" + container.path("pid"), "--log-driver=json-file",
                "--log-opt=log-path=" + self.source(container), "--log-opt=max-size=%d" % LOG_BYTES,
                "--log-opt=max-file=2"]

    def started(self, container, container_id):
        source = self.source(container)
        keep_linked(container.log_path(container.kept["runs"]), source)
        return {"pid": read(container.path("pid")), "logSource": source}


ENGINES.append(Nerdctl)
