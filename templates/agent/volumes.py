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
        if volume["medium"] == "memory" and not mounted(folder):
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
