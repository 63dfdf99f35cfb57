// The handshake: bytes of a client in, replies out, and into which session it leads.
import test from 'ava';
import fc from 'fast-check';
import { greeting, Negotiation, type TlsPolicy } from '../../../../plugins/disk-mirror/nbd/negotiation.js';
import { MAX_OPTION_BYTES } from '../../../../plugins/disk-mirror/nbd/option-reader.js';
import { MemoryExport } from '../../../support/memory-export.js';
import { contexts, info, OPTION, option, readOptionReplies, text, u32 } from '../../../support/nbd-bytes.js';

interface Setting {
  readonly tls?: TlsPolicy;
  readonly secure?: boolean;
  readonly ending?: boolean;
  readonly taken?: boolean;
  readonly readOnly?: boolean;
}

/** Replies as text; `session …` where a client got in, `closed` where it was cut off. */
const play = (
  fragments: readonly Buffer[],
  { tls = 'none', secure = false, ending = false, taken = false, readOnly = false }: Setting,
): readonly string[] => {
  const exports = [
    new MemoryExport({ sizeBytes: 1000, minimumBlockBytes: 512, readOnly }),
    new MemoryExport({ name: 'zwei ü', description: '' }),
  ];
  const negotiation = new Negotiation({ exports, tls, secure, ending: () => ending });
  const lines: string[] = [];
  const told = (bytes: Buffer) =>
    lines.push(...readOptionReplies(bytes).map(({ option: of, type, data }) => `${of} ${type}${shown(type, data)}`));
  for (const fragment of fragments) {
    negotiation.push(fragment);
    for (let step = negotiation.next(); step !== null; step = negotiation.next()) {
      if (step.kind === 'enter' && taken) step = negotiation.refuse('taken');
      if (step.kind === 'reply') told(step.bytes);
      else if (step.kind === 'enter') {
        const { bytes, rest } = negotiation.admit(step.agreed.served.sizeBytes());
        if (bytes.readUInt32BE() === 0x3e889) told(bytes);
        else lines.push(`size ${bytes.readBigUInt64BE()} flags ${bytes.readUInt16BE(8)} zeroes ${bytes.length - 10}`);
        const { served, structured, contexts: chosen } = step.agreed;
        return [...lines, `session ${served.name}${structured ? ' structured' : ''} [${chosen.join(' ')}] rest ${rest.toString()}`];
      } else {
        if (step.bytes !== null) told(step.bytes);
        return [...lines, step.kind === 'tls' ? 'tls' : 'closed'];
      }
    }
  }
  return lines;
};

const shown = (type: string, data: Buffer): string => {
  if (type === 'server') return ` ${data.toString('utf8', 4)}`;
  if (type === 'context') return ` ${data.readUInt32BE()} ${data.toString('utf8', 4)}`;
  if (type !== 'info') return '';
  const kind = data.readUInt16BE();
  if (kind === 0) return ` size ${data.readBigUInt64BE(2)} flags ${data.readUInt16BE(10)}`;
  if (kind === 3) return ` blocks ${data.readUInt32BE(2)} ${data.readUInt32BE(6)} ${data.readUInt32BE(10)}`;
  return ` ${kind} ${data.toString('utf8', 2)}`;
};

const HELLO = u32(3);
const FLAGS = 1 + 4 + 8 + 32 + 64 + 2048;
const BLOCKS = 'info blocks 512 4096 33554432';
const structured = option(OPTION.structured);
type Row = readonly [title: string, setting: Setting, sent: readonly Buffer[], lines: readonly string[]];

const ROWS: readonly Row[] = [
  [
    'GO: size in whole blocks, flags, block sizes',
    {},
    [HELLO, option(7, info('vol'))],
    [`7 info size 512 flags ${FLAGS}`, `7 ${BLOCKS}`, '7 ack', 'session vol [] rest '],
  ],
  [
    'GO, and the first request behind it',
    {},
    [HELLO, Buffer.concat([option(7, info('vol')), Buffer.from('next')])],
    [`7 info size 512 flags ${FLAGS}`, `7 ${BLOCKS}`, '7 ack', 'session vol [] rest next'],
  ],
  [
    'GO with structured replies: SEND_DF',
    {},
    [HELLO, structured, option(7, info('vol'))],
    ['8 ack', `7 info size 512 flags ${FLAGS + 128}`, `7 ${BLOCKS}`, '7 ack', 'session vol structured [] rest '],
  ],
  [
    'GO to a read-only export: no flags of commands that change',
    { readOnly: true },
    [HELLO, option(7, info('vol'))],
    ['7 info size 512 flags 15', `7 ${BLOCKS}`, '7 ack', 'session vol [] rest '],
  ],
  [
    'the empty name: the first export',
    {},
    [HELLO, option(7, info(''))],
    [`7 info size 512 flags ${FLAGS}`, `7 ${BLOCKS}`, '7 ack', 'session vol [] rest '],
  ],
  [
    'INFO: name, description and sizes when asked, and on it goes',
    {},
    [HELLO, option(6, info('zwei ü', 1, 2, 3, 77))],
    [`6 info size 65536 flags ${FLAGS}`, '6 info blocks 1 4096 33554432', '6 info 1 zwei ü', '6 info 2 ', '6 ack'],
  ],
  ['INFO of what is not here', {}, [HELLO, option(6, info('x')), option(7, info('x'))], ['6 unknown', '7 unknown']],
  [
    'INFO with lengths that do not fit',
    {},
    [
      HELLO,
      option(6, Buffer.concat([u32(99), Buffer.from('vol')])),
      option(6, 'abc'),
      option(6, Buffer.concat([text('vol'), Buffer.from([0, 2, 0, 1])])),
    ],
    ['6 invalid', '6 invalid', '6 invalid'],
  ],
  [
    'a name that is not UTF-8, or too long',
    {},
    [HELLO, option(7, Buffer.concat([u32(2), Buffer.from([0xff, 0xfe]), Buffer.from([0, 0])])), option(7, info('x'.repeat(4097)))],
    ['7 invalid', '7 invalid'],
  ],
  ['LIST', {}, [HELLO, option(3), option(3, 'x')], ['3 server vola disk in memory', '3 server zwei ü', '3 ack', '3 invalid']],
  ['ABORT, with data too', {}, [HELLO, option(2, 'bye'), option(3)], ['2 ack', 'closed']],
  ['EXPORT_NAME', {}, [HELLO, option(1, 'zwei ü')], [`size 65536 flags ${FLAGS} zeroes 0`, 'session zwei ü [] rest ']],
  [
    'EXPORT_NAME of an old client: the zeroes too',
    {},
    [u32(0), option(1, '')],
    [`size 512 flags ${FLAGS} zeroes 124`, 'session vol [] rest '],
  ],
  ['EXPORT_NAME of what is not here: cut off', {}, [HELLO, option(1, 'x')], ['closed']],
  ['an option of a client without fixed newstyle: cut off', {}, [u32(2), option(3)], ['closed']],
  ['unknown client flags: cut off', {}, [u32(4)], ['closed']],
  [
    'PEEK, EXTENDED_HEADERS, the unknown: not supported',
    {},
    [HELLO, option(4), option(11), option(0xffffffff, 'abc')],
    ['4 unsup', '11 unsup', '4294967295 unsup'],
  ],
  ['STRUCTURED_REPLY with data', {}, [HELLO, option(8, 'x')], ['8 invalid']],
  [
    'contexts before structured replies',
    {},
    [HELLO, option(10, contexts('vol', 'base:allocation')), option(9, contexts('vol'))],
    ['10 invalid', '9 invalid'],
  ],
  [
    'LIST_META_CONTEXT: all, by namespace, by name, none',
    {},
    [
      HELLO,
      structured,
      option(9, contexts('vol')),
      option(9, contexts('vol', 'base:')),
      option(9, contexts('vol', 'understudy:dirty-bitmap', 'qemu:x')),
      option(9, contexts('vol', 'base:x')),
    ],
    [
      '8 ack',
      '9 context 0 base:allocation',
      '9 context 0 understudy:dirty-bitmap',
      '9 ack',
      '9 context 0 base:allocation',
      '9 ack',
      '9 context 0 understudy:dirty-bitmap',
      '9 ack',
      '9 ack',
    ],
  ],
  [
    'SET_META_CONTEXT: ids, no wildcards, each replaces the one before',
    {},
    [
      HELLO,
      structured,
      option(10, contexts('vol', 'base:')),
      option(10, contexts('', 'base:allocation', 'understudy:dirty-bitmap')),
      option(10, contexts('vol', 'understudy:dirty-bitmap')),
      option(7, info('vol')),
    ],
    [
      '8 ack',
      '10 ack',
      '10 context 0 base:allocation',
      '10 context 1 understudy:dirty-bitmap',
      '10 ack',
      '10 context 0 understudy:dirty-bitmap',
      '10 ack',
      `7 info size 512 flags ${FLAGS + 128}`,
      `7 ${BLOCKS}`,
      '7 ack',
      'session vol structured [understudy:dirty-bitmap] rest ',
    ],
  ],
  [
    'SET_META_CONTEXT that fails: nothing is set any more',
    {},
    [
      HELLO,
      structured,
      option(10, contexts('vol', 'base:allocation')),
      option(10, contexts('vol', 'no namespace')),
      option(7, info('vol')),
    ],
    [
      '8 ack',
      '10 context 0 base:allocation',
      '10 ack',
      '10 invalid',
      `7 info size 512 flags ${FLAGS + 128}`,
      `7 ${BLOCKS}`,
      '7 ack',
      'session vol structured [] rest ',
    ],
  ],
  [
    'contexts of one export, GO to another: none',
    {},
    [HELLO, structured, option(10, contexts('vol', 'base:allocation')), option(1, 'zwei ü')],
    ['8 ack', '10 context 0 base:allocation', '10 ack', `size 65536 flags ${FLAGS + 128} zeroes 0`, 'session zwei ü structured [] rest '],
  ],
  [
    'contexts with a count beyond the data',
    {},
    [HELLO, structured, option(10, Buffer.concat([text('vol'), u32(0xffffffff)]))],
    ['8 ack', '10 invalid'],
  ],
  ['STARTTLS where there is none', {}, [HELLO, option(5), option(5, 'x')], ['5 policy', '5 invalid']],
  ['STARTTLS', { tls: 'offered' }, [HELLO, option(5)], ['5 ack', 'tls']],
  ['bytes behind STARTTLS: cut off', { tls: 'offered' }, [Buffer.concat([HELLO, option(5), option(7, info('vol'))])], ['closed']],
  ['STARTTLS again, inside', { tls: 'required', secure: true }, [HELLO, option(5)], ['5 invalid']],
  [
    'TLS is required: nothing else is told',
    { tls: 'required' },
    [HELLO, option(3), option(6, info('vol')), option(7, info('x')), option(8), option(99), option(2)],
    ['3 tls', '6 tls', '7 tls', '8 tls', '99 tls', '2 ack', 'closed'],
  ],
  ['TLS is required, EXPORT_NAME: cut off', { tls: 'required' }, [HELLO, option(1, 'vol')], ['closed']],
  [
    'TLS is offered, not taken',
    { tls: 'offered' },
    [HELLO, option(1, 'vol')],
    [`size 512 flags ${FLAGS} zeroes 0`, 'session vol [] rest '],
  ],
  [
    'the server is ending',
    { ending: true },
    [HELLO, option(3), option(7, info('vol')), option(2)],
    ['3 shutdown', '7 shutdown', '2 ack', 'closed'],
  ],
  [
    'the place is taken: refused, and on it goes',
    { taken: true },
    [HELLO, option(7, info('vol')), option(3, 'x')],
    ['7 policy', '3 invalid'],
  ],
  ['the place is taken, EXPORT_NAME: cut off', { taken: true }, [HELLO, option(1, 'vol')], ['closed']],
  [
    'an option that is too long: told, passed over',
    {},
    [HELLO, option(3, Buffer.alloc(MAX_OPTION_BYTES + 1)), option(8)],
    ['3 too-big', '8 ack'],
  ],
  ['a length that nobody means: cut off', {}, [HELLO, Buffer.concat([Buffer.from('IHAVEOPT'), u32(3), u32(0xfffffff0)])], ['closed']],
  ['something else than NBD: cut off at the first wrong byte', {}, [HELLO, Buffer.from('GET')], ['closed']],
  ['half an option: nothing yet', {}, [HELLO, option(3).subarray(0, 15)], []],
  [
    'more options than anybody needs: cut off',
    {},
    [HELLO, ...Array.from({ length: 1025 }, () => option(8))],
    [...Array.from({ length: 1024 }, () => '8 ack'), 'closed'],
  ],
];

for (const [title, setting, sent, lines] of ROWS) test(title, (t) => t.deepEqual(play(sent, setting), lines));

test('the greeting: fixed newstyle, no zeroes', (t) => {
  t.is(greeting().toString('latin1'), 'NBDMAGICIHAVEOPT\0\x03');
});

test('any fragmentation of any of these: the same answers', (t) => {
  // STARTTLS is left out: what stands behind it in the same piece is not the same.
  const rows = ROWS.filter(([title]) => !title.includes('STARTTLS'));
  fc.assert(
    fc.property(fc.constantFrom(...rows), fc.array(fc.nat(60), { maxLength: 50 }), ([title, setting, sent, lines], cuts) => {
      const bytes = Buffer.concat(sent);
      const parts: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) {
        parts.push(bytes.subarray(at, at + cut));
        at += cut;
      }
      const got = play([...parts, bytes.subarray(at)], setting);
      // What was in the same piece as the end of the handshake is told as its rest.
      const bare = (all: readonly string[]) => all.map((line) => line.replace(/rest .*/, 'rest'));
      if (JSON.stringify(bare(got)) !== JSON.stringify(bare(lines))) throw new Error(`${title}: ${got.join(', ')}`);
    }),
    { numRuns: Number(process.env['FC_RUNS'] ?? 1000), seed: 1 },
  );
  t.pass();
});
