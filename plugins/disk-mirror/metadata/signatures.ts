// What the first and the last megabyte of a device say of what is on it. Pure. A name for what is known, and for anything else
// where the first byte stands that is not zero: a new copy is made only over nothing, or over what a person said may go.
import { MAGIC } from './block.js';
import { SUPERBLOCK_AT } from './layout.js';

/** What is read of each end. */
export const PROBE_BYTES = 1024 * 1024 + 4096;

interface Signature {
  readonly name: string;
  readonly at: readonly number[];
  readonly magic: Buffer;
}

// Offsets from the beginning of the device. Sources: the superblocks' definitions as in util-linux's libblkid.
const SIGNATURES: readonly Signature[] = [
  { name: 'metadata of a disk mirror', at: SUPERBLOCK_AT, magic: MAGIC },
  { name: 'an ext2, ext3 or ext4 file system', at: [1080], magic: Buffer.from([0x53, 0xef]) },
  { name: 'an XFS file system', at: [0], magic: Buffer.from('XFSB') },
  { name: 'a Btrfs file system', at: [65_600], magic: Buffer.from('_BHRfS_M') },
  { name: 'an NTFS file system', at: [3], magic: Buffer.from('NTFS    ') },
  { name: 'a physical volume of LVM', at: [0, 512, 1024, 1536], magic: Buffer.from('LABELONE') },
  { name: 'a LUKS container', at: [0, 16_384], magic: Buffer.from([0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]) },
  { name: 'a member of a Linux RAID', at: [0, 4096], magic: Buffer.from([0xfc, 0x4e, 0x2b, 0xa9]) },
  { name: 'swap space', at: [4086], magic: Buffer.from('SWAPSPACE2') },
  { name: 'a GPT partition table', at: [512, 4096], magic: Buffer.from('EFI PART') },
];
/** At the end of the device: distance of the magic from it. */
const LAST: readonly Signature[] = [
  { name: 'the second copy of a GPT partition table', at: [512, 4096], magic: Buffer.from('EFI PART') },
  { name: 'a member of a Linux RAID', at: [8192, 65_536], magic: Buffer.from([0xfc, 0x4e, 0x2b, 0xa9]) },
];

const stands = (bytes: Uint8Array, at: number, magic: Buffer): boolean =>
  at >= 0 && at + magic.length <= bytes.length && magic.equals(bytes.subarray(at, at + magic.length));

/** A table of partitions as DOS had it: the mark at its end, and an entry with a type. */
const hasDosTable = (head: Uint8Array): boolean =>
  head[510] === 0x55 && head[511] === 0xaa && [0, 1, 2, 3].some((entry) => head[446 + entry * 16 + 4] !== 0);

/** What is there; empty when both ends are zero. `head` begins at 0, `tail` ends at the device's end; they may overlap. */
export const contentOf = (head: Uint8Array, tail: Uint8Array): string[] => {
  const known = SIGNATURES.filter(({ at, magic }) => at.some((place) => stands(head, place, magic))).map(({ name }) => name);
  if (hasDosTable(head) && !known.includes('an NTFS file system')) known.push('a DOS partition table');
  known.push(...LAST.filter(({ at, magic }) => at.some((back) => stands(tail, tail.length - back, magic))).map(({ name }) => name));
  if (known.length > 0) return [...new Set(known)];
  const first = head.findIndex((byte) => byte !== 0);
  if (first !== -1) return [`data of an unknown kind (byte ${first} is not zero)`];
  const last = tail.findLastIndex((byte) => byte !== 0);
  return last === -1 ? [] : [`data of an unknown kind (byte ${tail.length - last} before the end is not zero)`];
};
