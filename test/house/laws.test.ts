// The laws of the house that no linter knows (docs/house-style.md): which room may import which, what pure rooms may not
// touch, and what core may not name. Read from the sources as they are.
import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import test from 'ava';

/** A room may import rooms of its own height or lower, never higher. */
const HEIGHT: Record<string, number> = {
  model: 0,
  errors: 0,
  planner: 1,
  config: 1,
  ownership: 1,
  membership: 1,
  system: 2,
  log: 2,
  journal: 2,
  plugin: 2,
  scheduler: 3,
  guard: 3,
  daemon: 4,
  api: 4,
  link: 4,
  lab: 5,
  simulation: 5,
  cli: 6,
};

/** Rooms that decide: no I/O, no clock, no chance. The named files are their thin shells. */
const PURE = ['model', 'planner', 'ownership', 'config', 'membership'];
const SHELLS = new Set(['core/config/find.ts', 'core/config/print.ts', 'core/membership/transport.ts', 'core/membership/heartbeats.ts']);
/** A shell of a pure room needs clocks and sockets: it stands as high as system. */
const height = (file: string): number => (SHELLS.has(file) ? (HEIGHT['system'] ?? 0) : (HEIGHT[room(file)] ?? 0));
const IMPURE_IMPORT = /^(node:(?!crypto$|path$|buffer$|url$|assert$|util$)|winston|cosmiconfig|tsyringe)/;
const IMPURE_WORD = /\b(Date\.now|new Date\(|Math\.random|process\.|setTimeout|setInterval|setImmediate|performance\.now)\b/;

const VENDOR = /\b(aws|ec2|amazon|azure|gcp)\b/i;

interface Source {
  readonly file: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const sources = (pattern: string): Source[] =>
  globSync(pattern).map((found) => {
    const file = found.replaceAll('\\', '/');
    const text = readFileSync(found, 'utf8');
    const imports = [
      ...text.matchAll(
        /^\s*(?:import|export)\b[^'"`;]*?from\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|^import\s+['"]([^'"]+)['"]/gm,
      ),
    ].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
    return { file, text, imports };
  });

const core = sources('core/**/*.ts');
const plugins = sources('plugins/**/*.ts');
const room = (file: string): string => file.split('/')[1] ?? '';
const resolved = (from: string, specifier: string): string => posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts');
const withoutComments = (text: string): string =>
  text
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/^\s*\/\/.*$/gm, '')
    .replaceAll(/\s\/\/ .*$/gm, '');

const none = (t: { deepEqual(a: unknown, b: unknown, message: string): unknown }, offences: string[], message: string) =>
  t.deepEqual(offences, [], message);

test('rooms: every one has a height, so that the law below reaches it', (t) => {
  const unknown = [
    ...new Set(
      core
        .map(({ file }) => file)
        .filter((file) => file.split('/').length > 2)
        .map(room),
    ),
  ].filter((name) => HEIGHT[name] === undefined);
  none(t, unknown, 'rooms without a height');
});

test('imports go downwards only', (t) => {
  const offences = core.flatMap(({ file, imports }) =>
    imports
      .filter((specifier) => specifier.startsWith('.'))
      .map((specifier) => resolved(file, specifier))
      .filter((target) => target.startsWith('core/') && file.split('/').length > 2 && height(target) > height(file))
      .map((target) => `${file} imports ${target}`),
  );
  none(t, offences, 'a lower room imports a higher one');
});

test('core has no import of plugins, and plugins use only the public doors', (t) => {
  const upwards = core.flatMap(({ file, imports }) =>
    imports.filter((specifier) => /(^|\/)plugins\//.test(specifier)).map((specifier) => `${file} imports ${specifier}`),
  );
  const backdoors = plugins.flatMap(({ file, imports }) =>
    imports
      .filter((specifier) => specifier.startsWith('.') && !resolved(file, specifier).startsWith(`plugins/${room(file)}/`))
      .map((specifier) => `${file} imports ${specifier}`),
  );
  none(t, [...upwards, ...backdoors], 'another way in than the door');
});

test('rooms that decide touch no I/O, no clock and no chance', (t) => {
  const offences = core
    .filter(({ file }) => PURE.includes(room(file)) && !SHELLS.has(file))
    .flatMap(({ file, text, imports }) => [
      ...imports.filter((specifier) => IMPURE_IMPORT.test(specifier)).map((specifier) => `${file} imports ${specifier}`),
      ...(IMPURE_WORD.exec(withoutComments(text)) ? [`${file} uses ${IMPURE_WORD.exec(withoutComments(text))?.[0]}`] : []),
    ]);
  none(t, offences, 'a decision that could depend on the moment');
});

/** What the simulation runs as it is: everything outside memory comes to these rooms through an injected door. */
const SIMULATED = ['guard', 'ownership', 'membership', 'planner', 'scheduler', 'link'];
/** What stands behind the doors on a real host; a simulation puts something else there. */
const HOST_SHELLS = new Set([
  'core/guard/hard-stop.ts',
  'core/guard/look-gone.ts',
  'core/guard/watchdog-socket.ts',
  'core/link/secure-socket.ts',
  'core/membership/transport.ts',
]);
const HOST_MODULE =
  /^(node:)?(fs|net|dgram|tls|http|https|http2|dns|child_process|os|timers|worker_threads|cluster|perf_hooks|process)(\/.*)?$|system\/(atomic-file|boot|exec-(system|posix|windows|child)|files-system|address-monitor|host-addresses|raw-socket|neighbours|key-file)\.js$/;
const VALUE_IMPORT = /^(?:import|export)\b(?!\s+type\b)[^'"`;]*?from\s+['"]([^'"]+)['"]/gm;
const HOST_WORD =
  /\b(Date\b|Math\.random|process\.|performance\.|set(Timeout|Interval|Immediate)\b|hrtime|random(Bytes|UUID|Int|FillSync)\b|getRandomValues|fetch\(|system[A-Z]\w+)/;

test('what a simulation runs has no way past its doors: not to time, chance, files, sockets or processes', (t) => {
  const simulated = core.filter(({ file }) => SIMULATED.includes(room(file)) && !HOST_SHELLS.has(file));
  const offences = simulated.flatMap(({ file, text }) => {
    const imports = [...text.matchAll(VALUE_IMPORT)].map((match) => match[1] ?? '');
    const word = HOST_WORD.exec(withoutComments(text))?.[0];
    return [
      ...imports.filter((specifier) => HOST_MODULE.test(specifier)).map((specifier) => `${file} imports ${specifier}`),
      ...(word === undefined ? [] : [`${file} names ${word}`]),
    ];
  });
  none(t, offences, 'something that would differ between two runs of one seed');
  const stale = [...HOST_SHELLS].filter((shell) => !core.some(({ file }) => file === shell));
  none(t, stale, 'a shell that is not there');
});

test('core names no vendor', (t) => {
  none(
    t,
    core
      .filter(({ text }) => VENDOR.test(withoutComments(text)))
      .map(({ file, text }) => `${file}: ${VENDOR.exec(withoutComments(text))?.[0]}`),
    'a vendor in core',
  );
});

test('there is no room for things without a name', (t) => {
  none(
    t,
    [...core, ...plugins].map(({ file }) => file).filter((file) => /(^|\/)(utils?|helpers?|common|misc|manager)(\.ts|\/)/.test(file)),
    'utils, helpers, common, misc or manager',
  );
});

test('every file says at its head what lives there', (t) => {
  none(
    t,
    [...core, ...plugins].filter(({ text }) => !/^(#!.*\n)?(\/\/|\/\*)/.test(text)).map(({ file }) => file),
    'no comment at the head',
  );
});

test('no file is longer than one idea', (t) => {
  none(
    t,
    [...core, ...plugins]
      .filter(({ text }) => text.split('\n').length > 320)
      .map(({ file, text }) => `${file}: ${text.split('\n').length} lines`),
    'over 320 lines',
  );
});

test('wall time decides nothing: Date stands only where people read it', (t) => {
  const allowed = new Set(['core/system/clock.ts', 'core/plugin/testkit/fake-clock.ts']);
  none(
    t,
    core.filter(({ file, text }) => !allowed.has(file) && /\b(Date\.now|new Date\()/.test(withoutComments(text))).map(({ file }) => file),
    'Date outside the clock',
  );
});
