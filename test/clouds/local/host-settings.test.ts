import { expect, test } from "vitest";
import { explain } from "../../../src/clouds/local/holder-client.ts";
import {
  type HostFacts,
  namespaceSetting,
  neededSettings,
  parseSystem,
} from "../../../src/clouds/local/host-settings.ts";

/** A Debian on which ada may do everything but listen on port 80. */
const debian: HostFacts = {
  system: { name: "Debian GNU/Linux 12 (bookworm)", installs: true },
  user: "ada",
  root: false,
  namespaces: true,
  tun: "usable",
  subordinates: ["ada:100000:65536\n", "ada:100000:65536\n"],
  sysctl: (name) => ({ "net.ipv4.ip_unprivileged_port_start": "1024", "user.max_user_namespaces": "9000" })[name],
};
const sysctls = (values: Record<string, string>) => ({ sysctl: (name: string) => values[name] });
const names = (facts: Partial<HostFacts>) => neededSettings({ ...debian, ...facts }).map(({ name }) => name);

test.each<[string, Partial<HostFacts>, string[]]>([
  ["port 80 is all that Debian lacks", {}, ["net.ipv4.ip_unprivileged_port_start=80"]],
  ["a lower bound is left alone", sysctls({ "net.ipv4.ip_unprivileged_port_start": "0" }), []],
  ["root needs none of it", { root: true, subordinates: ["", ""] }, []],
  ["root needs the device too", { root: true, tun: "missing" }, ["/dev/net/tun"]],
  ["a closed device is opened", { ...sysctls({}), tun: "closed" }, ["/dev/net/tun"]],
  [
    "Ubuntu's AppArmor keeps namespaces to itself",
    { ...sysctls({ "kernel.apparmor_restrict_unprivileged_userns": "1" }), namespaces: false },
    ["kernel.apparmor_restrict_unprivileged_userns=0"],
  ],
  ["what works all the same is not changed", sysctls({ "kernel.apparmor_restrict_unprivileged_userns": "1" }), []],
  [
    "an older Debian's own switch",
    { ...sysctls({ "kernel.unprivileged_userns_clone": "0" }), namespaces: false },
    ["kernel.unprivileged_userns_clone=1"],
  ],
  ["a user without ids of their own", { ...sysctls({}), subordinates: ["", ""] }, ["user ids 100000-165535"]],
  [
    "ids that nobody else has",
    { ...sysctls({}), subordinates: ["bob:100000:65536\neve:165536:65536\n", "bob:100000:65536\n"] },
    ["user ids 231072-296607"],
  ],
  ["too few ids", { ...sysctls({}), subordinates: ["ada:100000:10\n", "ada:100000:10\n"] }, ["user ids 100010-165545"]],
])("%s", (_, facts, expected) => {
  expect(names(facts)).toEqual(expected);
});

test("every setting says what for, is kept, and can stand between single quotes", () => {
  const all = neededSettings({
    ...debian,
    ...sysctls({ "net.ipv4.ip_unprivileged_port_start": "1024", "user.max_user_namespaces": "0" }),
    namespaces: false,
    tun: "missing",
    subordinates: ["", ""],
  });
  expect(all).toHaveLength(4);
  for (const { why, command } of all) {
    expect(why).not.toBe("");
    expect(command).not.toContain("'");
  }
  expect(all[0]?.command).toBe(
    "mkdir -p /etc/sysctl.d; echo user.max_user_namespaces=10000 >>/etc/sysctl.d/60-drover.conf; echo 10000 >/proc/sys/user/max_user_namespaces",
  );
});

test("a holder that gets no namespace says the one command, found out from the computer's settings", () => {
  const ubuntu = (name: string) => (name === "kernel.apparmor_restrict_unprivileged_userns" ? "1" : undefined);
  expect(namespaceSetting(ubuntu)).toBeDefined();
  for (const said of [
    "unshare: write failed /proc/self/uid_map: Operation not permitted",
    "ip said: RTNETLINK answers: Operation not permitted (link set lo up …)",
  ]) {
    expect(explain(said, ubuntu)).toMatchObject({
      code: "SETUP_MISSING",
      message: expect.stringContaining("`sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"),
    });
  }
  const debianSays = explain("unshare: unshare failed: Operation not permitted", () => undefined);
  expect(debianSays).toMatchObject({ code: "SETUP_MISSING", message: expect.not.stringContaining("sysctl") });
  expect(explain("boom", ubuntu)).toMatchObject({ code: "CLOUD_UNAVAILABLE" });
});

test.each<[string, string, boolean]>([
  ["Debian GNU/Linux 12", 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n', true],
  ["Ubuntu 24.04.1 LTS", 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian\n', true],
  ["Linux Mint 22", 'ID=linuxmint\nID_LIKE="ubuntu debian"\nPRETTY_NAME="Linux Mint 22"\n', true],
  ["Fedora Linux 43", 'ID=fedora\nPRETTY_NAME="Fedora Linux 43"\nSUPPORT_END=2026-12-02\n', false],
  ["arch", "ID=arch\n", false],
  ["a Linux without /etc/os-release", "", false],
])("%s is known by its os-release", (name, osRelease, installs) => {
  expect(parseSystem(osRelease)).toEqual({ name, installs });
});
