/**
 * Where the computer's programs are looked up: what makes disks and networks lies in `sbin` folders, which are not on an
 * ordinary user's path everywhere (Debian's is without them).
 */
export const searchPath = (): string => `${process.env["PATH"] ?? "/usr/bin:/bin"}:/usr/sbin:/sbin`;
