// The kernel of a small guest: Debian's own package, unpacked and never installed, and an initramfs with the modules that the
// guest needs, busybox and one script. Made once, in a cache directory under the system's temporary directory. Invariant: what
// lies in the cache under its final name is whole.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

export interface GuestKernel {
  readonly release: string;
  readonly vmlinuz: string;
  readonly initramfs: string;
}

/** Raised when the script or the modules change: an older cache is not used. */
const RECIPE = 3;
const META_PACKAGE = 'linux-image-amd64';
const MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'nbd', 'ext4', 'loop'];
const APPLETS = ['sh', 'mount', 'insmod', 'mkdir', 'cat', 'echo', 'poweroff', 'chroot', 'uname', 'dmesg', 'ifconfig'];
const LIMIT_MS = 180_000;

/**
 * Its power goes without a sync: a device that a failed command left without a server would hold it for ten minutes.
 * The host's root is read-only at /host over 9p; /run is the guest's own memory; /run/share is a directory of the host, in which
 * the command lies and in which its output and exit status are left.
 */
const INIT = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in $(cat /modules.list); do insmod /modules/$module 2>/dev/null || echo "not loaded: $module"; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /host || echo "no 9p mount of the host's root"
mount -t proc proc /host/proc; mount -t sysfs sys /host/sys; mount -t devtmpfs dev /host/dev
mount -t tmpfs -o size=75% tmpfs /host/run
mkdir -p /host/run/share /host/run/tmp
mount -t 9p -o trans=virtio,version=9p2000.L,rw,msize=262144,cache=none share /host/run/share || echo "no 9p mount of the share"
ifconfig lo 127.0.0.1 netmask 255.0.0.0 up
uname -r >/host/run/share/booted
chroot /host /bin/sh /run/share/command >/host/run/share/output 2>&1
echo $? >/host/run/share/status.next
dmesg >/host/run/share/dmesg
chroot /host /bin/mv /run/share/status.next /run/share/status
poweroff -f -n
`;

const run = (file: string, args: readonly string[], cwd?: string): string =>
  execFileSync(file, args, {
    encoding: 'utf8',
    timeout: LIMIT_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` },
    ...(cwd === undefined ? {} : { cwd }),
  });

/** Finds or makes it. Throws with the words of the program that failed. */
export const debianKernel = (): GuestKernel => {
  const cache = join(tmpdir(), `understudy-guest-${RECIPE}`);
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const there = readdirSync(cache).find((name) => existsSync(join(cache, name, 'initramfs.gz')) && !name.startsWith('next-'));
  if (there !== undefined) return kernelIn(cache, there);
  const work = mkdtempSync(join(cache, 'next-'));
  try {
    const release = make(work);
    if (!existsSync(join(cache, release))) renameSync(work, join(cache, release));
    return kernelIn(cache, release);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};

const kernelIn = (cache: string, release: string): GuestKernel => ({
  release,
  vmlinuz: join(cache, release, 'vmlinuz'),
  initramfs: join(cache, release, 'initramfs.gz'),
});

const make = (work: string): string => {
  const wanted = packageName();
  run('apt-get', ['download', '-qq', wanted], work);
  const [deb] = readdirSync(work).filter((name) => name.endsWith('.deb'));
  if (deb === undefined) throw new Error(`apt-get downloaded no ${wanted}`);
  const unpacked = join(work, 'package');
  run('dpkg-deb', ['-x', join(work, deb), unpacked]);
  const [release] = readdirSync(join(unpacked, 'lib/modules'));
  if (release === undefined) throw new Error(`${deb} has no modules`);
  copyFileSync(join(unpacked, 'boot', `vmlinuz-${release}`), join(work, 'vmlinuz'));
  run('depmod', ['-b', unpacked, release]);
  pack(work, unpacked, release);
  for (const left of [deb, 'package', 'root']) rmSync(join(work, left), { recursive: true, force: true });
  return release;
};

/** What the meta package stands for today; its lists are fetched when the machine has none. */
const packageName = (): string => {
  const named = () => /Depends: (linux-image-\S+)/.exec(run('apt-cache', ['depends', META_PACKAGE]))?.[1];
  try {
    return named() ?? refuse();
  } catch {
    run('apt-get', ['update', '-qq']);
    return named() ?? refuse();
  }
};

const refuse = (): never => {
  throw new Error(`apt-cache names no kernel for ${META_PACKAGE}`);
};

const pack = (work: string, unpacked: string, release: string): void => {
  const root = join(work, 'root');
  for (const name of ['bin', 'proc', 'sys', 'dev', 'host', 'modules']) mkdirSync(join(root, name), { recursive: true });
  copyFileSync('/usr/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet));
  const files = MODULES.flatMap((name) =>
    run('modprobe', ['-d', unpacked, '-S', release, '--show-depends', name])
      .split('\n')
      .flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []),
  );
  const wanted = [...new Set(files)];
  for (const file of wanted) copyFileSync(file, join(root, 'modules', basename(file)));
  writeFileSync(join(root, 'modules.list'), `${wanted.map((file) => basename(file)).join('\n')}\n`);
  writeFileSync(join(root, 'init'), INIT, { mode: 0o755 });
  run('sh', ['-c', 'find . | cpio -o -H newc --quiet | gzip -1 >../initramfs.gz'], root);
};
