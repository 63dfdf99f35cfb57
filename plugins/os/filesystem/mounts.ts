// The table of mounts as the kernel tells it (/proc/PID/mountinfo), and what is at a directory by it. Pure.

/** One mount. Source: proc_pid_mountinfo(5). */
export interface Mount {
  /** Of the mount: what /proc/PID/fdinfo calls mnt_id. */
  readonly id: number;
  /** `major:minor` of the filesystem. */
  readonly device: string;
  readonly at: string;
  readonly type: string;
  /** As it was given to mount. */
  readonly source: string;
  readonly readOnly: boolean;
  /** The filesystem itself was shut down: every request ends with an error. */
  readonly shutDown: boolean;
}

/** In the kernel's order: of two mounts at one place the later one is seen. A line that is not understood is none. */
export const parseMounts = (mountinfo: string): readonly Mount[] =>
  mountinfo.split('\n').flatMap((line) => {
    const [front = '', back] = line.split(' - ');
    const [id, , device, , at, flags] = front.split(' ');
    const [type, source, superFlags] = (back ?? '').split(' ');
    if (device === undefined || at === undefined || flags === undefined || type === undefined || source === undefined) return [];
    const all = [...flags.split(','), ...(superFlags ?? '').split(',')];
    return [
      {
        id: Number(id),
        device,
        at: unescape(at),
        type,
        source: unescape(source),
        readOnly: all.includes('ro') || all.includes('emergency_ro'),
        shutDown: all.includes('shutdown'),
      },
    ];
  });

/** Blanks, tabs, newlines and backslashes are octal. */
const unescape = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_whole, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** What is seen at the directory; undefined when nothing is mounted there. */
export const mountAt = (mounts: readonly Mount[], directory: string): Mount | undefined => mounts.findLast(({ at }) => at === directory);

/** What the option `device` means on this host now. */
export interface Wanted {
  readonly device: string;
  /** Where the name leads to; null when there is no such file. */
  readonly path: string | null;
  /** `major:minor` of the block device; null when it is none. */
  readonly number: string | null;
}

/** Whether this mount is of the wanted device. Some filesystems (btrfs) have numbers of their own: there the name counts. */
export const isOf = ({ device, source }: Mount, wanted: Wanted): boolean =>
  (wanted.number !== null && device === wanted.number) || source === wanted.device || (wanted.path !== null && source === wanted.path);
