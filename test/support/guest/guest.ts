// A small emulated machine with a Debian kernel of its own, for what a network namespace cannot give: a kernel's drivers. It sees
// the host's root read-only, runs one command as root and is gone. Emulated (TCG): it needs nothing of the host's kernel.
// Invariant: qemu and whatever it started end with the call, at the latest at the deadline.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debianKernel } from './debian-kernel.js';

export interface GuestRun {
  /** Null = it never ended: the deadline, or the guest went down under it. */
  readonly exitCode: number | null;
  readonly output: string;
  readonly release: string;
  /** The guest kernel's messages, from its start to the command's end. */
  readonly dmesg: string;
  /** What qemu and the console said: why there is no exit code. */
  readonly console: string;
  /** A file that the command left in `/run/share`; null = it left none. */
  readonly left: Readonly<Record<string, string | null>>;
}

export interface GuestOptions {
  readonly limitMs: number;
  readonly memoryMiB?: number;
  /** Names of files in `/run/share` that are wanted. */
  readonly files?: readonly string[];
}

const PROGRAMS = ['qemu-system-x86_64', 'busybox', 'cpio', 'depmod', 'modprobe', 'dpkg-deb', 'apt-get'];
const CONSOLE_CHARACTERS = 100_000;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Why no guest can be had here, or null. In CI that is an error, not a reason to skip. */
export const guestObstacle = (): string | null => {
  const missing = PROGRAMS.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`], { env: { PATH } }).status !== 0);
  const obstacle =
    process.arch !== 'x64'
      ? `the guest is x86-64, this is ${process.arch}`
      : missing.length > 0
        ? `not installed: ${missing.join(', ')}`
        : kernelObstacle();
  if (obstacle !== null && process.env['CI']) throw new Error(`this suite cannot run in CI: ${obstacle}`);
  return obstacle;
};

const kernelObstacle = (): string | null => {
  try {
    debianKernel();
    return null;
  } catch (error) {
    return `no kernel for the guest: ${error instanceof Error ? error.message : String(error)}`;
  }
};

/** Boots, runs `argv` (paths as on the host, in the directory of the caller), and waits for the end of both. $GUEST_KEEP: a directory for all it left. */
export const runInGuest = async (argv: readonly string[], { limitMs, memoryMiB = 1_536, files = [] }: GuestOptions): Promise<GuestRun> => {
  const { release, vmlinuz, initramfs } = debianKernel();
  const share = mkdtempSync(join(tmpdir(), 'understudy-guest-share-'));
  try {
    writeFileSync(
      join(share, 'command'),
      `export PATH=${PATH} HOME=/root TMPDIR=/run/tmp\ncd ${quoted(process.cwd())} && exec ${argv.map(quoted).join(' ')}\n`,
    );
    const console = await boot(qemuArguments({ vmlinuz, initramfs, share, memoryMiB }), limitMs);
    const read = (name: string) => (existsSync(join(share, name)) ? readFileSync(join(share, name), 'utf8') : null);
    const status = read('status');
    return {
      exitCode: status === null ? null : Number(status),
      output: read('output') ?? '',
      release: read('booted')?.trim() ?? release,
      dmesg: read('dmesg') ?? '',
      console,
      left: Object.fromEntries(files.map((name) => [name, read(name)])),
    };
  } finally {
    if (process.env['GUEST_KEEP'] !== undefined) cpSync(share, process.env['GUEST_KEEP'], { recursive: true });
    rmSync(share, { recursive: true, force: true });
  }
};

const qemuArguments = ({
  vmlinuz,
  initramfs,
  share,
  memoryMiB,
}: {
  vmlinuz: string;
  initramfs: string;
  share: string;
  memoryMiB: number;
}) => [
  ...words('-accel tcg -cpu qemu64 -smp 2 -nographic -no-reboot -nic none'),
  ...words('-fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=host,mount_tag=host'),
  '-fsdev',
  `local,id=share,path=${share},security_model=none`,
  ...words('-device virtio-9p-pci,fsdev=share,mount_tag=share'),
  '-m',
  String(memoryMiB),
  '-kernel',
  vmlinuz,
  '-initrd',
  initramfs,
  '-append',
  // A busy host starves the emulated timer in the moment in which the kernel tests it.
  'console=ttyS0 quiet panic=-1 no_timer_check',
];

const words = (line: string): readonly string[] => line.split(' ');

const boot = (args: readonly string[], limitMs: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let said = '';
    const hear = (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-CONSOLE_CHARACTERS));
    qemu.stdout.on('data', hear);
    qemu.stderr.on('data', hear);
    const end = () => qemu.pid !== undefined && process.kill(-qemu.pid, 'SIGKILL');
    const timer = setTimeout(() => {
      said += `\nqemu was ended after ${limitMs} ms`;
      end();
    }, limitMs);
    // A test run that is ended ends its guest.
    process.once('exit', end);
    qemu.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    qemu.once('close', () => {
      clearTimeout(timer);
      process.off('exit', end);
      resolve(said);
    });
  });

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
