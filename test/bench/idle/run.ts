// node dist/test/bench/idle/run.js [--timing lan] [--seconds 60] [--restarts 10] [--id idle]: what a node costs while nothing
// happens. A lab of two hosts (root: netns) with one group of three resources, each looked at every second; then the CPU of
// each host's cgroup without its applications, the memory of each process, and how long a killed guard takes to renew.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { takeDown } from '../../../core/lab/client.js';
import { cgroupRoot } from '../../../core/lab/netns-cleanup.js';
import { startLab } from '../../../core/lab/start.js';
import { systemClock } from '../../../core/system/clock.js';

const { values } = parseArgs({
  options: {
    timing: { type: 'string', default: 'lan' },
    seconds: { type: 'string', default: '60' },
    settle: { type: 'string', default: '10' },
    restarts: { type: 'string', default: '10' },
    id: { type: 'string', default: 'idle' },
  },
});

const CGROUPS = cgroupRoot() ?? '/sys/fs/cgroup';
const PID_FILE = `/tmp/understudy-lab-${values.id}/job.pid`;
const script = (word: string): readonly string[] => ['/bin/sh', '-c', word];
/** An address of the cloud, a process watched by its cgroup, and one watched by a script: every way of looking there is. */
const GROUP = {
  prefer: ['a', 'b'],
  failover: { max: 1000, within: '1h' },
  resources: {
    vip: {
      use: 'overlay-ip',
      address: '192.168.0.10',
      routeTables: ['rtb-lab-1', 'rtb-lab-2', 'rtb-lab-3'],
      interface: 'lo',
      every: '1s',
      on: { a: { eni: 'eni-lab-a' }, b: { eni: 'eni-lab-b' } },
    },
    app: { use: 'app-script', mode: 'foreground', start: ['/bin/sleep', '100000'], every: '1s' },
    job: {
      use: 'app-script',
      start: script(`/bin/sleep 100000 </dev/null >/dev/null 2>&1 & echo $! >${PID_FILE}`),
      stop: script(`kill $(cat ${PID_FILE})`),
      monitor: script(`read pid <${PID_FILE} && kill -0 $pid`),
      every: '1s',
    },
  },
};

interface Process {
  readonly name: string;
  readonly pid: number;
  readonly cpuMs: number;
  readonly switches: number;
  readonly rssKb: number;
  readonly pssKb: number;
  readonly privateKb: number;
}

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // A process or thread that has ended between listing and reading has no figures.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
};

const number = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);
const cgroupOf = (node: string): string => join(CGROUPS, `understudy-lab-${values.id}`, node);
const usedMs = (cgroup: string): number => number(read(join(cgroup, 'cpu.stat')), /usage_usec (\d+)/) / 1000;
/** Of the host without its applications: guard, controller, supervisor, leash, and every short-lived command they run. */
const daemonsMs = (node: string): number => usedMs(cgroupOf(node)) - usedMs(join(cgroupOf(node), 'applications'));

const nameOf = (pid: number): string | null => {
  const words = read(`/proc/${pid}/cmdline`);
  return (
    /(guard|controller)-process\.js/.exec(words)?.[1] ??
    /bin\.js\0(run|guard|controller)/.exec(words)?.[1] ??
    /(leash)\.sh/.exec(words)?.[1] ??
    (words.startsWith('ip\0') ? 'ip monitor' : null)
  );
};

const lookAt = (pid: number, name: string): Process => {
  const threads = readdirSync(`/proc/${pid}/task`);
  const memory = read(`/proc/${pid}/smaps_rollup`);
  return {
    name,
    pid,
    cpuMs: threads.reduce((sum, thread) => sum + Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]) / 1e6, 0),
    switches: threads.reduce(
      (sum, thread) => sum + number(read(`/proc/${pid}/task/${thread}/status`), /^voluntary_ctxt_switches:\s+(\d+)/m),
      0,
    ),
    rssKb: number(memory, /^Rss:\s+(\d+)/m),
    pssKb: number(memory, /^Pss:\s+(\d+)/m),
    privateKb: number(memory, /^Private_Clean:\s+(\d+)/m) + number(memory, /^Private_Dirty:\s+(\d+)/m),
  };
};

const processesOf = (node: string): readonly Process[] =>
  read(join(cgroupOf(node), 'cgroup.procs'))
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      const name = nameOf(Number(line));
      return name === null ? [] : [lookAt(Number(line), name)];
    });

const mb = (kb: number): string => (kb / 1024).toFixed(1);

const NODES = ['a', 'b'];
/** Where the group runs: either, both started at the same time. */
const activeNode = (): string | undefined =>
  NODES.find((node) => read(join(cgroupOf(node), 'applications/idle/job/cgroup.events')).includes('populated 1'));

const measure = async (seconds: number): Promise<void> => {
  const [began, before, used] = [systemClock.nowMs(), NODES.map(processesOf), NODES.map(daemonsMs)];
  await systemClock.sleep(seconds * 1000);
  const tookMs = systemClock.nowMs() - began;
  const percent = (ms: number): string => ((100 * ms) / tookMs).toFixed(2);
  for (const [index, node] of NODES.entries()) {
    const table = new Table({
      head: ['process', 'CPU %', 'switches/s', 'Rss MB', 'Pss MB', 'private MB'],
      style: { head: [], border: [] },
    });
    const both = { rssKb: 0, pssKb: 0, privateKb: 0 };
    for (const one of processesOf(node)) {
      const then = before[index]?.find(({ pid }) => pid === one.pid);
      const switches = (((one.switches - (then?.switches ?? 0)) * 1000) / tookMs).toFixed(0);
      table.push([one.name, percent(one.cpuMs - (then?.cpuMs ?? 0)), switches, mb(one.rssKb), mb(one.pssKb), mb(one.privateKb)]);
      if (one.name === 'guard' || one.name === 'controller')
        for (const key of ['rssKb', 'pssKb', 'privateKb'] as const) both[key] += one[key];
    }
    table.push(['guard + controller', '', '', mb(both.rssKb), mb(both.pssKb), mb(both.privateKb)]);
    table.push(['all, with commands', percent(daemonsMs(node) - (used[index] ?? 0)), '', '', '', '']);
    process.stdout.write(
      `\n${node === activeNode() ? 'active' : 'standby'} node, timing ${values.timing}, ${seconds} s\n${table.toString()}\n`,
    );
  }
};

/** The self-fence deadline of a lease page, nanoseconds of the monotonic clock. */
const deadlineOf = (page: string): number => Number(page.split(' ')[3]);

/** kill -9 of the guard that holds the group → the lease page is renewed by the next one. */
const restartOnce = async (): Promise<number> => {
  const node = activeNode() ?? '';
  const page = `/tmp/understudy-lab-${values.id}/hosts/${node}/run/lease/idle`;
  const guard = processesOf(node).find(({ name }) => name === 'guard');
  if (guard === undefined) throw new Error(`node ${node} has no guard, or the group runs nowhere`);
  process.kill(guard.pid, 'SIGKILL');
  const killedMs = systemClock.nowMs();
  const left = deadlineOf(read(page));
  // The next guard first writes down what it takes over, with the old deadline; a renewal is a later one.
  while (deadlineOf(read(page)) <= left) {
    if (systemClock.nowMs() - killedMs > 10_000) throw new Error('the lease page was not renewed within 10 s');
    await systemClock.sleep(2);
  }
  return systemClock.nowMs() - killedMs;
};

const restarts = async (count: number): Promise<void> => {
  const times: number[] = [];
  for (let done = 0; done < count; done += 1) {
    times.push(await restartOnce());
    // The supervisor starts at once only what has run for a while.
    await systemClock.sleep(3000);
  }
  times.sort((one, other) => one - other);
  if (count > 0)
    process.stdout.write(
      `\nguard killed -> renewed, ${count} times: median ${times[count >> 1]?.toFixed(0)} ms, worst ${times.at(-1)?.toFixed(0)} ms\n`,
    );
};

const lab = await startLab({
  id: values.id,
  substrate: 'netns',
  nodes: ['a', 'b'],
  options: { takeover: 'lease', confirm: 'renewal', timing: values.timing, groups: { idle: GROUP }, bare: false },
});
try {
  const deadlineMs = systemClock.nowMs() + 60_000;
  while (activeNode() === undefined) {
    if (systemClock.nowMs() > deadlineMs) throw new Error('the group did not start within 60 s');
    await systemClock.sleep(100);
  }
  await systemClock.sleep(Number(values.settle) * 1000);
  await measure(Number(values.seconds));
  await restarts(Number(values.restarts));
} finally {
  lab.close();
  await takeDown(values.id);
}
