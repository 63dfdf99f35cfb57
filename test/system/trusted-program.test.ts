// The one rule for what root runs and loads, on tables of files; each row can be changed by somebody who is not root.
import test from 'ava';
import { distrustOf, type Look } from '../../core/system/trusted-program.js';

const [FILE, DIRECTORY, LINK] = [0o100000, 0o040000, 0o120000];
type Entry = readonly [mode: number, uid?: number, gid?: number, target?: string];
const look = (table: Readonly<Record<string, Entry>>): Look => ({
  lstat: (path) => {
    const [mode, uid = 0, gid = 0] = table[path] ?? (path === '/etc/u/x' ? [FILE | 0o755] : path === '/no' ? [0] : [DIRECTORY | 0o755]);
    if (mode === 0) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    return { uid, gid, mode };
  },
  readlink: (path) => table[path]![3]!,
});
const PROGRAM = '/etc/u/x';
const OPEN = /lies in a directory where everybody can make files/;

const rows: readonly (readonly [what: string, table: Readonly<Record<string, Entry>>, program: string, says: RegExp | null])[] = [
  ['root’s alone', {}, PROGRAM, null],
  ['not absolute', {}, 'x', /its path is not absolute/],
  ['missing', { '/no': [0] }, '/no/such', /it cannot be found \(ENOENT: \/no\)/],
  ['somebody’s file', { [PROGRAM]: [FILE | 0o755, 7] }, PROGRAM, /^\/etc\/u\/x belongs to uid 7/],
  ['the file of whoever used sudo', { [PROGRAM]: [FILE | 0o755, 1000] }, PROGRAM, null],
  ['somebody’s directory', { '/etc': [DIRECTORY | 0o755, 7] }, PROGRAM, /^\/etc belongs to uid 7/],
  ['writable by everybody', { [PROGRAM]: [FILE | 0o757] }, PROGRAM, /x is writable by everybody/],
  ['writable by a group', { '/etc/u': [DIRECTORY | 0o775, 0, 50] }, PROGRAM, /^\/etc\/u is writable by group 50/],
  ['writable by root’s group, which may have members', { '/etc/u': [DIRECTORY | 0o775] }, PROGRAM, /writable by group 0/],
  ['writable by the group of whoever used sudo', { '/etc/u': [DIRECTORY | 0o775, 0, 1000] }, PROGRAM, null],
  ['a sticky file is no sticky directory', { [PROGRAM]: [FILE | 0o1777] }, PROGRAM, /writable by everybody/],
  ['straight in a sticky directory', { '/etc/u': [DIRECTORY | 0o1777] }, PROGRAM, OPEN],
  ['in a directory of root’s in a sticky one', { '/etc': [DIRECTORY | 0o1777] }, PROGRAM, null],
  [
    'in somebody’s directory in a sticky one',
    { '/etc': [DIRECTORY | 0o1777], '/etc/u': [DIRECTORY | 0o755, 7] },
    PROGRAM,
    /belongs to uid 7/,
  ],
  ['by a link of root’s', { '/l': [LINK | 0o777, 0, 0, PROGRAM] }, '/l', null],
  [
    'by a link of somebody’s: it leads elsewhere tomorrow',
    { '/t': [DIRECTORY | 0o1777], '/t/l': [LINK | 0o777, 7, 0, '/etc/u'] },
    '/t/l/x',
    /^\/t\/l belongs to uid 7/,
  ],
  ['by a link in a sticky directory', { '/t': [DIRECTORY | 0o1777], '/t/l': [LINK | 0o777, 0, 0, '/etc/u'] }, '/t/l/x', OPEN],
  [
    'by a link that leads through an open directory',
    { '/l': [LINK | 0o777, 0, 0, '/open/m'], '/open': [DIRECTORY | 0o777], '/open/m': [LINK | 0o777, 0, 0, PROGRAM] },
    '/l',
    /^\/open is writable/,
  ],
  ['upwards out of a link', { '/l': [LINK | 0o777, 0, 0, '/etc/u'] }, '/l/../u/x', null],
  ['upwards into what is open', { '/open': [DIRECTORY | 0o777], '/open/d': [DIRECTORY | 0o755] }, '/open/d/../x', /^\/open is writable/],
  ['a link to itself', { '/l': [LINK | 0o777, 0, 0, 'l'] }, '/l', /^\/l is one of too many links/],
];

for (const [what, table, program, says] of rows)
  test(`${what}: ${says === null ? 'run' : 'refused'}`, (t) => {
    const found = distrustOf(program, { uids: [1000], gids: [1000] }, look(table));
    if (says === null) t.is(found, null);
    else t.regex(found ?? 'run', says);
  });
