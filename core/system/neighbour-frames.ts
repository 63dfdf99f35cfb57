// The frames by which an address is announced and asked for, as bytes. Pure. Sources: RFC 826 (ARP), RFC 5227 (announcement
// and probe), RFC 4861 section 4.4 (neighbour advertisement), RFC 4443 (checksum).
import { isIPv4 } from 'node:net';

/** Six bytes of hardware address. */
export type Mac = Uint8Array;

const ARP = 0x0806;
const IPV6 = 0x86dd;
const BROADCAST = Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
const NOBODY = new Uint8Array(6);
const ALL_NODES_MAC = Uint8Array.from([0x33, 0x33, 0, 0, 0, 1]);
const ALL_NODES = Uint8Array.from([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

const macText = (mac: Mac): string => [...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

/** Everything one announcement consists of: for IPv4 a request and a reply, since hosts differ in which they learn from. */
export const announcements = (mac: Mac, address: string): readonly Uint8Array[] => {
  if (!isIPv4(address)) return [advertisement(mac, ipv6Bytes(address))];
  const ip = ipv4Bytes(address);
  return [arp(1, mac, ip, NOBODY, ip), arp(2, mac, ip, BROADCAST, ip)];
};

/** "Who has the address?", asked without claiming it. */
export const probe = (mac: Mac, address: string): Uint8Array => arp(1, mac, new Uint8Array(4), NOBODY, ipv4Bytes(address));

/** Whose hardware address the frame says has the address; null when it is about something else, or our own. */
export const claimant = (frame: Uint8Array, mac: Mac, address: string): string | null => {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (bytes.length < 42 || bytes.readUInt16BE(12) !== ARP || bytes.readUInt16BE(16) !== 0x0800) return null;
  const sender = bytes.subarray(22, 28);
  const claims = bytes.subarray(28, 32).equals(ipv4Bytes(address));
  return claims && !sender.equals(mac) ? macText(sender) : null;
};

const arp = (operation: 1 | 2, mac: Mac, sender: Uint8Array, target: Mac, targetIp: Uint8Array): Uint8Array =>
  Buffer.concat([
    BROADCAST,
    mac,
    word(ARP),
    word(1),
    word(0x0800),
    Uint8Array.from([6, 4]),
    word(operation),
    mac,
    sender,
    target,
    targetIp,
  ]);

const advertisement = (mac: Mac, address: Uint8Array): Uint8Array => {
  const OVERRIDE = 0x20;
  const message = Buffer.concat([Uint8Array.from([136, 0, 0, 0, OVERRIDE, 0, 0, 0]), address, Uint8Array.from([2, 1]), mac]);
  const pseudo = Buffer.concat([address, ALL_NODES, word(0), word(message.length), Uint8Array.from([0, 0, 0, 58])]);
  message.writeUInt16BE(checksum(Buffer.concat([pseudo, message])), 2);
  // Hop limit 255 is demanded: it proves that no router forwarded it.
  const header = Buffer.concat([Uint8Array.from([0x60, 0, 0, 0]), word(message.length), Uint8Array.from([58, 255]), address, ALL_NODES]);
  return Buffer.concat([ALL_NODES_MAC, mac, word(IPV6), header, message]);
};

const word = (value: number): Uint8Array => Uint8Array.from([value >> 8, value & 0xff]);

/** Ones' complement of the ones' complement sum of 16-bit words (RFC 1071). */
const checksum = (bytes: Buffer): number => {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
};

const ipv4Bytes = (address: string): Uint8Array => Uint8Array.from(address.split('.').map(Number));

/** Sixteen bytes of an address in any of its spellings without an IPv4 tail. */
const ipv6Bytes = (address: string): Uint8Array => {
  const [head = '', tail] = address.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Uint8Array.from(all.flatMap((group) => [...word(group)]));
};
