# --- Redirects: a port of the machine to another one, for Services that are only names


def set_redirects(redirects, known):
    """Makes them the only ones, in one step; `known`: there may have been others before."""
    if not redirects and not known:
        return
    rules = [(each.get("address"), each["protocol"].lower(), each["port"], each["targetPort"]) for each in redirects]
    if found("nft"):
        lines = ["%s %s dport %d redirect to :%d"
                 % ("ip daddr " + address if address else "fib daddr type local", *rule) for address, *rule in rules]
        hooks = (("prerouting", "dstnat"), ("output", "-100"))
        chains = ["chain %s {\ntype nat hook %s priority %s;\n%s\n}" % (hook, hook, priority, "\n".join(lines))
                  for hook, priority in hooks]
        commands = [("nft", "-f", "-", "add table ip drover\ndelete table ip drover\ntable ip drover {\n%s\n}\n"
                     % "\n".join(chains))]
    else:
        lines = ["-A DROVER %s -p %s --dport %d -j REDIRECT --to-ports %d"
                 % ("-d " + address if address else "-m addrtype --dst-type LOCAL", *rule) for address, *rule in rules]
        commands = [("iptables-restore", "--noflush", "\n".join(["*nat", ":DROVER - [0:0]", *lines, "COMMIT\n"]))]
        for chain in ("PREROUTING", "OUTPUT"):
            jump = (chain, "-j", "DROVER")
            if run_command("iptables", "-w", "-t", "nat", "-C", *jump)[0]:
                commands.append(("iptables", "-w", "-t", "nat", "-A", *jump, ""))
    for *command, text in commands:
        code, _, error = run_command(*command, text=text)
        if code:
            raise Broken("FailedRedirect", error)


REDIRECTS.append(set_redirects)
