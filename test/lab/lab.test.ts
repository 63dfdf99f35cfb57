// The lab's decisions: names and addresses, the watchdog's machine, what the observer concludes, what a client's gap is,
// which lines the netns substrate runs. All pure; the substrates themselves are tried in loopback.test.ts and test/e2e.
import test from 'ava';
import fc from 'fast-check';
import { isKillable, parseFault } from '../../core/lab/faults.js';
import { GapMeter } from '../../core/lab/gap-meter.js';
import { configText, labConfig } from '../../core/lab/lab-config.js';
import { dropsOf } from '../../core/lab/netns-cuts.js';
import { farLines, hostCables, hostLines, routeLine, sourceRule } from '../../core/lab/netns-names.js';
import { cgroupRoot } from '../../core/lab/netns-cleanup.js';
import { Observations } from '../../core/lab/observations.js';
import { clientAddress, hostOf, planTopology } from '../../core/lab/topology.js';
import { bitesAtMs, type Dog, dogStep, sleepingDog } from '../../core/lab/watchdog.js';

const numRuns = Number(process.env['FC_RUNS'] ?? 100);

test('topology: hosts, addresses and names of both substrates', (t) => {
  const netns = planTopology({ id: 'x1', kind: 'netns', nodes: ['a', 'b'], base: '/tmp' });
  t.is(netns.directory, '/tmp/understudy-lab-x1');
  t.deepEqual(netns.hosts[1]?.addresses, {
    service: '10.0.2.10',
    'heartbeat-1': '10.10.1.2',
    'heartbeat-2': '10.10.2.2',
    mirror: '10.10.3.2',
  });
  t.is(clientAddress(netns, '192.168.0.10'), '192.168.0.10');
  const loopback = planTopology({ id: 'x1', kind: 'loopback', number: 7, nodes: ['a', 'b'] });
  t.deepEqual(loopback.hosts[1]?.addresses, {
    service: '127.7.2.10',
    'heartbeat-1': '127.7.101.2',
    'heartbeat-2': '127.7.102.2',
    mirror: '127.7.103.2',
  });
  t.is(clientAddress(loopback, '192.168.0.10'), '127.7.0.10');
  t.is(hostOf(loopback, 'b').zone, 'zone-b');
  t.is(t.throws(() => hostOf(loopback, 'c')).message, 'no host "c" in lab x1');
});

test('topology: names that would clash or cannot be are refused', (t) => {
  const cases: [options: Partial<Parameters<typeof planTopology>[0]>, message: RegExp][] = [
    [{ id: 'x-y' }, /lab id "x-y"/],
    [{ id: '' }, /lab id ""/],
    [{ id: 'abcdefghijklm' }, /1 to 12/],
    [{ nodes: [] }, /1 to 16 hosts, not 0/],
    [{ nodes: ['a', 'a'] }, /two hosts of one name/],
    [{ nodes: ['router'] }, /cannot be a host's name/],
    [{ nodes: ['a b'] }, /host name "a b"/],
    [{ kind: 'loopback' }, /needs a number/],
    [{ kind: 'loopback', number: 255 }, /needs a number/],
  ];
  for (const [options, message] of cases) t.throws(() => planTopology({ id: 'ok', kind: 'netns', nodes: ['a'], ...options }), { message });
});

test('netns lines: interface names fit the kernel, far ends are apart for every host', (t) => {
  const { hosts } = planTopology({ id: 'abcdefghijkl', kind: 'netns', nodes: Array.from({ length: 16 }, (_, at) => `host-${at}`) });
  const names = hosts.flatMap((host) =>
    hostCables('abcdefghijkl', host).map((line) => / name (\S+) netns (\S+)/.exec(line)?.slice(1).join('@') ?? ''),
  );
  t.is(new Set(names).size, names.length);
  for (const name of names) t.true((name.split('@')[0] ?? '').length <= 15, name);
  t.true(hosts.every((host) => hostLines(host).includes(`route add default via 10.0.${host.index}.1`)));
  t.true(farLines('switch', hosts[0] as never).every((line) => !line.includes('svc')));
});

test('netns lines: routes and rules', (t) => {
  const { hosts } = planTopology({ id: 'x', kind: 'netns', nodes: ['a', 'b'] });
  t.is(routeLine('192.168.0.10', hosts[1] ?? null), 'route replace 192.168.0.10/32 via 10.0.2.10 dev svc2 metric 5');
  t.is(routeLine('192.168.0.10', null), 'route replace blackhole 192.168.0.10/32 metric 5');
  t.is(routeLine('fd99::1', hosts[0] ?? null), 'route replace fd99::1/128 via fd00:a:1::10 dev svc1 metric 5');
  t.is(sourceRule('add', '192.168.0.10'), 'rule add from 192.168.0.10/32 prio 100 blackhole');
});

test('cuts: drops stand at whoever would receive', (t) => {
  const { hosts } = planTopology({ id: 'x', kind: 'netns', nodes: ['a', 'b'] });
  const drops = (network: 'service' | 'heartbeat-2' | 'all', direction: 'in' | 'out' | 'both') =>
    dropsOf('x', hosts[0] as never, { network, direction }).map(({ namespace, device }) => `${namespace}/${device}`);
  t.deepEqual(drops('heartbeat-2', 'in'), ['us-x-a/hb2']);
  t.deepEqual(drops('heartbeat-2', 'out'), ['us-x-switch/hb2-1']);
  t.deepEqual(drops('service', 'both'), ['us-x-a/eth0', 'us-x-router/svc1']);
  t.is(drops('all', 'both').length, 8);
});

test('cgroup v2 is found on hybrid and unified hosts, and missed where it is not', (t) => {
  t.is(cgroupRoot('cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n'), '/sys/fs/cgroup/unified');
  t.is(cgroupRoot('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n'), '/sys/fs/cgroup');
  t.is(cgroupRoot('proc /proc proc rw 0 0\n'), null);
});

/** Says lines at times and returns answers, with `bites MS` as the last. */
const dialogue = (...said: [atMs: number, line: string][]): unknown[] => {
  let dog: Dog = sleepingDog;
  const answers = said.map(([atMs, line]) => {
    const step = dogStep(dog, line, atMs);
    dog = step.dog;
    return step.answer;
  });
  return [...answers, bitesAtMs(dog)];
};

test('watchdog: armed, petted, disarmed', (t) => {
  t.deepEqual(dialogue([100, '{"arm":2000}']), [{ armed: 2000 }, 2100]);
  t.deepEqual(dialogue([100, '{"arm":2000}'], [600, '{"pet":1}'], [1000, '{"pet":2}']), [
    { armed: 2000 },
    { petted: 1, ageMs: 500 },
    { petted: 2, ageMs: 400 },
    3000,
  ]);
  t.deepEqual(dialogue([100, '{"arm":2000}'], [600, '{"disarm":true}']), [{ armed: 2000 }, { disarmed: true }, null]);
  t.deepEqual(dialogue([100, '{"arm":2000}'], [600, '{"arm":1000}']), [{ armed: 2000 }, { armed: 1000 }, 1600]);
});

test('watchdog: nothing but disarm keeps it from biting; a pet that came too late is none', (t) => {
  t.deepEqual(dialogue([0, '{"arm":1000}'], [1000, '{"pet":1}'])[1], { error: 'too late: the timeout has passed' });
  t.deepEqual(dialogue([0, '{"arm":1000}'], [1000, '{"disarm":true}'])[2], 1000);
  t.deepEqual(dialogue([0, '{"pet":1}'])[0], { error: 'not armed' });
  const nonsense = [
    '',
    '{',
    'null',
    '[]',
    '{"arm":0}',
    '{"arm":1.5}',
    '{"arm":"2000"}',
    '{"pet":"x"}',
    '{"disarm":false}',
    '{"arm":99999999}',
  ];
  for (const line of nonsense) {
    const [, answer, bites] = dialogue([0, '{"arm":1000}'], [10, line]);
    t.true('error' in (answer as object), line);
    t.is(bites, 1000, line);
  }
});

test('watchdog property: it bites a timeout after the last accepted arm or pet, whatever else is said', (t) => {
  const line = fc.oneof(fc.constantFrom('{"pet":1}', '{"arm":500}', '{"arm":-1}', 'x', '{"pet":null}'), fc.string());
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), line), { maxLength: 30 }), (said) => {
        let nowMs = 0;
        let dog = dogStep(sleepingDog, '{"arm":500}', 0).dog;
        let lastMs = 0;
        for (const [afterMs, text] of said) {
          nowMs += afterMs;
          const step = dogStep(dog, text, nowMs);
          dog = step.dog;
          if (!('error' in step.answer)) lastMs = nowMs;
        }
        return bitesAtMs(dog) === lastMs + 500;
      }),
      { numRuns },
    ),
  );
});

const observed = (...looks: [atMs: number, thing: string, ...holders: string[]][]): Observations => {
  const observations = new Observations();
  for (const [atMs, thing, ...holders] of looks) observations.see({ atMs, thing, holders });
  return observations;
};

test('observer: intervals and overlaps', (t) => {
  const cases: [title: string, looks: Parameters<typeof observed>, intervals: string, overlaps: string][] = [
    ['nothing', [], '', ''],
    [
      'handed over in order',
      [
        [0, 'v', 'a'],
        [20, 'v'],
        [40, 'v', 'b'],
      ],
      'a 0-20, b 40-',
      '',
    ],
    [
      'handed over between two looks',
      [
        [0, 'v', 'a'],
        [20, 'v', 'b'],
      ],
      'a 0-20, b 20-',
      '',
    ],
    [
      'both for a while',
      [
        [0, 'v', 'a'],
        [20, 'v', 'a', 'b'],
        [60, 'v', 'b'],
      ],
      'a 0-60, b 20-',
      'v a+b 20-60',
    ],
    [
      'both in one look',
      [
        [0, 'v', 'b', 'a'],
        [20, 'v', 'a'],
      ],
      'a 0-, b 0-20',
      'v a+b 0-20',
    ],
    ['both, lasting', [[0, 'v', 'a', 'b']], 'a 0-, b 0-', 'v a+b 0-0'],
    [
      'two things on two hosts are no overlap',
      [
        [0, 'v', 'a'],
        [0, 'w', 'b'],
      ],
      'a 0-, b 0-',
      '',
    ],
    [
      'twice',
      [
        [0, 'v', 'a', 'b'],
        [20, 'v', 'a'],
        [40, 'v', 'a', 'b'],
        [60, 'v', 'b'],
      ],
      'a 0-60, b 0-20, b 40-',
      'v a+b 0-20, v a+b 40-60',
    ],
    [
      'three',
      [
        [0, 'v', 'a', 'b'],
        [20, 'v', 'b', 'c'],
        [40, 'v'],
      ],
      'a 0-20, b 0-40, c 20-40',
      'v a+b+c 0-40',
    ],
  ];
  for (const [title, looks, intervals, overlaps] of cases) {
    const seen = observed(...looks);
    t.is(seen.intervals.map(({ node, fromMs, toMs }) => `${node} ${fromMs}-${toMs ?? ''}`).join(', '), intervals, title);
    t.is(
      seen.overlaps.map(({ thing, nodes, fromMs, toMs }) => `${thing} ${nodes.join('+')} ${fromMs}-${toMs}`).join(', '),
      overlaps,
      title,
    );
  }
});

test('observer property: an overlap is reported exactly when some look had two holders', (t) => {
  const look = fc.tuple(fc.constantFrom('v', 'w'), fc.subarray(['a', 'b', 'c']));
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(look, { maxLength: 40 }), (looks) => {
        const seen = observed(...looks.map(([thing, holders], at): [number, string, ...string[]] => [at * 20, thing, ...holders]));
        const shared = new Set(looks.filter(([, holders]) => holders.length > 1).map(([thing]) => thing));
        const open = seen.intervals.filter(({ toMs }) => toMs === null).map(({ thing, node }) => `${thing}${node}`);
        const last = (thing: string) => looks.findLast(([name]) => name === thing)?.[1] ?? [];
        return (
          [...shared].toSorted().join() === [...new Set(seen.overlaps.map(({ thing }) => thing))].toSorted().join() &&
          open.toSorted().join() ===
            ['v', 'w']
              .flatMap((thing) => last(thing).map((node) => `${thing}${node}`))
              .toSorted()
              .join()
        );
      }),
      { numRuns },
    ),
  );
});

test('gap: from one good answer to the next, over nodes, noted from its length on', (t) => {
  const meter = new GapMeter(50);
  for (const [atMs, node] of [
    [0, 'a'],
    [5, 'a'],
    [10, 'a'],
    [310, 'b'],
    [315, 'b'],
  ] as const) {
    meter.sent();
    meter.answered(atMs, node);
  }
  meter.sent();
  t.deepEqual(meter.report(400), {
    sent: 6,
    answered: 5,
    longestGapMs: 300,
    gaps: [{ fromMs: 10, toMs: 310, ms: 300, before: 'a', after: 'b' }],
    answersByNode: { a: 3, b: 2 },
    silentMs: 85,
    lastNode: 'b',
  });
  t.is(new GapMeter(50).report(10).silentMs, null);
  t.is(meter.answered(320, 'b'), null);
  t.is(meter.answered(325, 'a')?.ms, 5, 'a change of node is always told');
  t.is(meter.answered(324, 'b'), null, 'an older answer ends no gap');
});

test('fault words: understood, or refused with what would have been', (t) => {
  const topology = planTopology({ id: 'x', kind: 'netns', nodes: ['a', 'b'] });
  const parse = (text: string) => parseFault(text === '' ? [] : text.split(' '), topology, ['cloud']);
  const understood: [words: string, fault: ReturnType<typeof parse>][] = [
    ['power-off a', { kind: 'power-off', node: 'a' }],
    ['reset b', { kind: 'reset', node: 'b' }],
    ['cut a heartbeat-1', { kind: 'cut', cut: { node: 'a', network: 'heartbeat-1', direction: 'both' } }],
    ['cut b all in', { kind: 'cut', cut: { node: 'b', network: 'all', direction: 'in' } }],
    ['heal', { kind: 'heal', node: null, network: null }],
    ['heal a service', { kind: 'heal', node: 'a', network: 'service' }],
    ['kill a guard controller', { kind: 'kill', node: 'a', what: ['guard', 'controller'] }],
    ['delete-address a', { kind: 'delete-address', node: 'a', address: '192.168.0.10' }],
    ['delete-address a 10.1.1.1', { kind: 'delete-address', node: 'a', address: '10.1.1.1' }],
    ['cloud deny ReplaceRoute rtb-1', { kind: 'service', service: 'cloud', words: ['deny', 'ReplaceRoute', 'rtb-1'] }],
  ];
  for (const [words, fault] of understood) t.deepEqual(parse(words), fault, words);
  const refused: [words: string, message: string, hint: RegExp][] = [
    ['', 'a fault is missing', /power-off, power-on.*cloud …$/],
    ['explode a', '"explode" is not a fault', /power-off/],
    ['power-off', 'power-off needs a host', /a, b/],
    ['power-off c', 'no host "c" in lab x', /a, b/],
    ['power-off a b', 'power-off does not know what "b" is for', /use-the-lab/],
    ['cut a', 'a network is missing', /heartbeat-1/],
    ['cut a wifi', '"wifi" is not a network', /mirror, all/],
    ['cut a all sideways', '"sideways" is not a direction', /in, out, both/],
    ['kill a', 'a process is missing', /guard, controller/],
    ['kill a everything', '"everything" is not a process', /app/],
  ];
  for (const [words, message, hint] of refused)
    t.regex((t.throws(() => parse(words), { message }) as { hint?: string }).hint ?? '', hint, words);
});

test('kill: which process is what', (t) => {
  const engine = 'PATH=/bin\0UNDERSTUDY_LAB=x\0';
  const cases: [what: Parameters<typeof isKillable>[0], commandLine: string, environment: string, is: boolean][] = [
    ['guard', 'node --max-old-space-size=64 /opt/core/cli/bin.js guard --node a', engine, true],
    ['guard', 'node /opt/core/cli/bin.js controller --node a', engine, false],
    ['guard', 'node /opt/core/cli/bin.js run --node guard', engine, false],
    ['guard', 'node /opt/core/daemon/guard-process.js --node a', engine, true],
    ['run', '/bin/sh /opt/core/guard/leash.sh --run-dir /hosts/a/run', engine, false],
    ['controller', 'node --max-semi-space-size=1 /opt/core/daemon/controller-process.js --node guard', engine, true],
    ['leash', '/bin/sh /opt/core/guard/leash.sh /run/understudy', engine, true],
    ['run', 'node /opt/core/cli/bin.js run --node a --run-dir /run', engine, true],
    ['app', 'node /opt/app.js', `${engine}UNDERSTUDY_RESOURCE=web/app\0`, true],
    ['app', 'node /opt/core/cli/bin.js guard', engine, false],
    ['guard', 'node /opt/core/cli/bin.js guard', `${engine}UNDERSTUDY_RESOURCE=web/app\0`, false],
  ];
  for (const [what, commandLine, environment, is] of cases)
    t.is(isKillable(what, commandLine.split(' '), environment), is, `${what}: ${commandLine}`);
});

test('config: the topology, what services want, one group that floats the address', (t) => {
  const options = { takeover: 'preempt', confirm: 'none', timing: 'lan' } as const;
  const cloud = {
    name: 'cloud',
    config: { cloud: { endpoint: 'http://x' } },
    resources: { '192.168.0.10': { use: 'overlay', address: '192.168.0.10' } },
  };
  const arbiter = { name: 'arbiter', config: { arbiter: { use: 'witness' } }, resources: {} };
  const of = (kind: 'netns' | 'loopback', services = [cloud, arbiter]) =>
    labConfig(planTopology({ id: 'x', kind, number: 9, nodes: ['a', 'b'], base: '/tmp' }), services, options, ['node', 'app.js']);
  const netns = configText(of('netns'));
  for (const line of [
    'cluster: lab-x',
    'key: file:/tmp/understudy-lab-x/cluster.key',
    'watchdog: socket:/tmp/understudy-lab-x/dog/{node}.sock',
    '        lingerSafe: true',
    '    takeover: preempt',
    '          - 192.168.0.10:8080',
  ])
    t.true(netns.split('\n').includes(line), line);
  t.false(netns.includes('addresses:'));
  t.deepEqual(of('netns')['arbiter'], { use: 'witness' });
  const loopback = configText(of('loopback'));
  t.true(loopback.includes('addresses: table:/tmp/understudy-lab-x/addresses/{node}\n'));
  t.true(loopback.includes('- 127.9.1.10:8080') && loopback.includes('- 127.9.2.10:8080'));
  t.regex(t.throws(() => of('netns', [arbiter])).message, /no service of the lab can float 192\.168\.0\.10/);
  t.regex(t.throws(() => of('netns', [cloud, { ...cloud, name: 'second' }])).message, /service second wants the config key "cloud"/);
});
