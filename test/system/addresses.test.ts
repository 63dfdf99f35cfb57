// Addresses: the table of the lab, frames byte by byte, command lines by their text. Real interfaces: test/e2e/ip-address.test.ts.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { canonicalAddress, sameAddress } from '../../core/system/addresses.js';
import { addArgs, parseIpJson } from '../../core/system/addresses-linux.js';
import { isWhole } from '../../core/system/host-addresses.js';
import { parseTable, TableAddresses } from '../../core/system/addresses-table.js';
import { addCommand, removeCommand } from '../../core/system/addresses-windows.js';
import { systemClock } from '../../core/system/clock.js';
import type { Exec, RunResult } from '../../core/system/exec.js';
import { announcements, claimant, probe } from '../../core/system/neighbour-frames.js';
import { Neighbours } from '../../core/system/neighbours.js';

const MAC = Uint8Array.from([2, 0, 0, 0, 0, 9]);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('canonical: one spelling for each address', (t) => {
  t.is(canonicalAddress('FD00:0:0::0010'), 'fd00::10');
  t.is(canonicalAddress('192.168.0.10'), '192.168.0.10');
  for (const wrong of ['192.168.0', 'fe80::1%eth0', '', 'host']) t.is(canonicalAddress(wrong), null);
  t.true(sameAddress('fd00::0:10', 'fd00::10'));
  t.false(sameAddress('192.168.0.1', '192.168.0.10'));
  t.false(sameAddress('nonsense', 'nonsense'));
});

test('ip command: exact words', (t) => {
  const line = (...args: Parameters<typeof addArgs>) => addArgs(...args).join(' ');
  t.is(line('eth0', '10.0.0.5', 24, {}), 'address replace 10.0.0.5/24 dev eth0');
  t.is(
    line('eth0', '10.0.0.5', 32, { label: 'vip', noPrefixRoute: true }),
    'address replace 10.0.0.5/32 dev eth0 label eth0:vip noprefixroute',
  );
  t.is(line('eth0', 'fd00::5', 128, { label: 'eth0:vip' }), 'address replace fd00::5/128 dev eth0 nodad');
  t.throws(() => addArgs('enp0s31f6', '10.0.0.5', 24, { label: 'database' }), {
    message: 'the label enp0s31f6:database has 18 characters; Linux takes 15',
  });
});

test('ip -j: addresses with their labels; entries without an address are left out', (t) => {
  const text = JSON.stringify([
    {
      ifname: 'eth0',
      addr_info: [{ local: '10.0.0.2', prefixlen: 24, label: 'eth0' }, { local: '10.0.0.5', prefixlen: 32, label: 'eth0:vip' }, {}],
    },
    { ifname: 'tun0' },
    {},
  ]);
  t.deepEqual(parseIpJson(text), [
    { interface: 'eth0', address: '10.0.0.2', prefixLength: 24, label: null },
    { interface: 'eth0', address: '10.0.0.5', prefixLength: 32, label: 'eth0:vip' },
  ]);
});

test('addresses read in the process: whole only when every interface is among them', (t) => {
  const devices = 'Inter-|   Receive\n face |bytes    packets\n    lo: 1 2\neth0:9999 0\n';
  const on = (...names: string[]) => names.map((name) => ({ interface: name }));
  t.true(isWhole(on('lo', 'eth0', 'eth0'), devices));
  t.false(isWhole(on('lo'), devices), 'eth0 is down or has none: it cannot be told from here');
  t.false(isWhole(on('lo', 'eth0'), null));
  t.false(isWhole(on('lo', 'eth0'), ''));
});

test('gratuitous ARP: a request and a reply in which sender and target are the address', (t) => {
  const ethernet = 'ffffffffffff' + '020000000009' + '0806' + '0001' + '0800' + '0604';
  t.deepEqual(announcements(MAC, '192.168.0.10').map(hex), [
    `${ethernet}0001` + '020000000009' + 'c0a8000a' + '000000000000' + 'c0a8000a',
    `${ethernet}0002` + '020000000009' + 'c0a8000a' + 'ffffffffffff' + 'c0a8000a',
  ]);
});

test('ARP probe: asks without claiming; an answer names the owner, our own and others do not', (t) => {
  t.is(hex(probe(MAC, '10.0.0.5')).slice(40), '0001' + '020000000009' + '00000000' + '000000000000' + '0a000005');
  const other = Uint8Array.from([2, 0, 0, 0, 0, 7]);
  const [, reply] = announcements(other, '10.0.0.5');
  if (reply === undefined) return t.fail();
  t.is(claimant(reply, MAC, '10.0.0.5'), '02:00:00:00:00:07');
  t.is(claimant(reply, MAC, '10.0.0.6'), null);
  t.is(claimant(reply, other, '10.0.0.5'), null);
  t.is(claimant(probe(other, '10.0.0.5'), MAC, '10.0.0.5'), null, 'another one asking does not own it');
  t.is(claimant(reply.subarray(0, 30), MAC, '10.0.0.5'), null);
});

test('IPv6: an unsolicited advertisement to all nodes, override set, checksum right', (t) => {
  const [frame, ...more] = announcements(MAC, 'fd00::10');
  if (frame === undefined) return t.fail();
  t.is(more.length, 0);
  t.is(frame.length, 14 + 40 + 32);
  const text = hex(frame);
  t.is(text.slice(0, 28), '333300000001' + '020000000009' + '86dd');
  t.is(text.slice(28, 44), '60000000' + '0020' + '3a' + 'ff');
  t.is(text.slice(108, 112), '8800');
  t.is(text.slice(116), '20000000' + 'fd000000000000000000000000000010' + '0201' + '020000000009');
  // The sum over pseudo header and message, its checksum included, is all ones.
  const summed = Buffer.concat([frame.subarray(22, 54), Buffer.from('00000020' + '0000003a', 'hex'), frame.subarray(54)]);
  let sum = 0;
  for (let at = 0; at < summed.length; at += 2) sum += summed.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  t.is(sum, 0xffff);
});

const answering = (answer: Partial<RunResult> | Error) => {
  const commands: string[] = [];
  const exec = {
    run: async (file: string, args: readonly string[]) => {
      commands.push([file, ...args].join(' '));
      if (answer instanceof Error) throw answer;
      return {
        exitCode: 0,
        signal: null,
        stdout: '',
        stderr: '',
        truncated: false,
        timedOut: false,
        aborted: false,
        elapsedMs: 1,
        ...answer,
      };
    },
  } as unknown as Exec;
  return { commands, neighbours: new Neighbours(exec, systemClock, async () => 'koffi could not be loaded: none') };
};

test('no raw frames: arping and ndsend do it', async (t) => {
  const { commands, neighbours } = answering({});
  await neighbours.announce('eth0', '10.0.0.5', 3);
  await neighbours.announce('eth0', 'fd00::5', 1);
  await neighbours.announce('lo', '10.0.0.5', 3);
  t.is(await neighbours.owner('eth0', '10.0.0.5', 100), null);
  t.deepEqual(commands, ['arping -U -c 3 -I eth0 10.0.0.5', 'ndsend fd00::5 eth0', 'arping -D -c 1 -w 1 -I eth0 10.0.0.5']);
  const taken = answering({ exitCode: 1, stdout: 'Unicast reply from 10.0.0.5 [02:00:00:AB:00:07]  0.7ms' });
  t.is(await taken.neighbours.owner('eth0', '10.0.0.5', 100), '02:00:00:ab:00:07');
});

test('no raw frames and no arping: what to install is said', async (t) => {
  const { neighbours } = answering(new Error('ENOENT'));
  const error = await t.throwsAsync(neighbours.announce('eth0', '10.0.0.5', 1));
  t.is(error?.message, 'neighbours on 10.0.0.5 cannot be reached: koffi could not be loaded: none; and arping is not installed');
  t.regex((error as unknown as { hint: string }).hint, /iputils-arping/);
});

test('raw frames: as many announcements as asked for, the socket closed; an interface without neighbours is silent', async (t) => {
  const sent: string[] = [];
  let closed = 0;
  const raw = (mac: Uint8Array | null) => async () => () => ({
    mac,
    send: (frame: Uint8Array) => void sent.push(hex(frame)),
    receive: () => null,
    close: () => void (closed += 1),
  });
  const none = {} as Exec;
  await new Neighbours(none, systemClock, raw(MAC)).announce('eth0', '10.0.0.5', 2);
  t.is(sent.length, 4);
  await new Neighbours(none, systemClock, raw(null)).announce('lo', '10.0.0.5', 2);
  t.is(sent.length, 4);
  t.is(await new Neighbours(none, systemClock, raw(MAC)).owner('eth0', '10.0.0.5', 1), null);
  t.is(closed, 3);
});

test('table: add, list, remove, each once; changes are told', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-table-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'host/addresses');
  const addresses = new TableAddresses(file);
  t.deepEqual(await addresses.list(), []);
  await addresses.remove('10.0.0.5');
  let told = (): void => {};
  const change = new Promise<void>((resolve) => (told = resolve));
  const end = addresses.watch(() => told());
  const keep = setTimeout(() => {}, 10_000);
  await addresses.add('lo', '10.0.0.5', 32);
  await addresses.add('lo', '10.0.0.5', 32);
  await addresses.add('lo', 'fd00::5', 128);
  await change;
  clearTimeout(keep);
  end();
  t.is(readFileSync(file, 'utf8'), 'lo 10.0.0.5 32\nlo fd00::5 128\n');
  t.deepEqual(await addresses.list(), parseTable('lo 10.0.0.5 32\nlo fd00::5 128'));
  await addresses.remove('FD00::0:5');
  t.is(readFileSync(file, 'utf8'), 'lo 10.0.0.5 32\n');
  await addresses.remove('10.0.0.50');
  t.is(readFileSync(file, 'utf8'), 'lo 10.0.0.5 32\n');
  t.is(addresses.hardStopLine('lo', '10.0.0.5'), `table ${file} 10.0.0.5`);
  writeFileSync(file, '\n#\nlo 10.0.0.5\nlo 10.0.0.6 x\n');
  t.deepEqual(await addresses.list(), [], 'lines that are no address');
});

test('Windows: command lines', (t) => {
  t.is(
    addCommand("Ethernet 2 'a'", '10.0.0.5', 24),
    "New-NetIPAddress -InterfaceAlias 'Ethernet 2 ''a''' -IPAddress '10.0.0.5' -PrefixLength 24 -SkipAsSource $true -PolicyStore ActiveStore -ErrorAction Stop | Out-Null",
  );
  t.is(
    removeCommand('10.0.0.5'),
    "Get-NetIPAddress -IPAddress '10.0.0.5' -ErrorAction SilentlyContinue | Remove-NetIPAddress -Confirm:$false -ErrorAction Stop; " +
      "if (Get-NetIPAddress -IPAddress '10.0.0.5' -ErrorAction SilentlyContinue) { exit 1 }",
  );
  t.throws(() => addCommand('a\nb', '10.0.0.5', 24), { message: /cannot be part of a PowerShell command/ });
});
