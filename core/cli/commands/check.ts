// understudy check: every problem of the config at once; then the timing proof and the worst-case takeover times. With --print
// it runs a config written as code and prints it as YAML: the one place where such a file is executed.
import type { Command } from 'commander';
import type { ClusterConfig } from '../../config/cluster-config.js';
import { printConfig } from '../../config/print.js';
import { NO_STORE_WORDS, withoutStore } from '../../model/no-store.js';
import { protectionOf } from '../../config/protection.js';
import { formatProblem } from '../../config/problem.js';
import { configJsonSchema } from '../../config/schema.js';
import { proveTiming, type TimingProof, type TimingTerm } from '../../config/timing.js';
import { nodeOf } from '../../daemon/options.js';
import { UnderstudyError } from '../../errors/errors.js';
import type { NodeId } from '../../model/ids.js';
import { catalogueOf } from '../../plugin/catalogue-of.js';
import { loadPlugins } from '../../plugin/load.js';
import type { Registry } from '../../plugin/registry.js';
import { systemClock } from '../../system/clock.js';
import { systemExec } from '../../system/exec-system.js';
import { TRUST_HINT } from '../../system/trusted-program.js';
import { type ArbiterProbe, objectionToProbe, probeArbiter } from '../arbiter-probe.js';
import { judgePrograms } from '../judge-programs.js';
import { loadConfig } from '../load-config.js';
import { durationText, print, printJson, printTable, styled } from '../output.js';

interface CheckOptions {
  readonly config?: string;
  readonly print?: string;
  readonly schema?: boolean;
  readonly json?: boolean;
  readonly probe?: boolean;
}

const count = (many: number, what: string): string => `${many} ${what}${many === 1 ? '' : 's'}`;

const showTerms = (title: string, totalMs: number, terms: readonly TimingTerm[]): void => {
  print(`${styled('bold', title)}: ${durationText(totalMs)}`);
  for (const term of terms) print(`  ${durationText(term.ms).padStart(9)}  ${term.what}`);
};

const showProof = (proof: TimingProof, config: ClusterConfig): void => {
  printTable(
    ['', 'INEQUALITY', 'LEFT', 'RIGHT', 'MEANS'],
    proof.inequalities.map((row) => [
      row.holds ? styled('green', 'ok') : row.required ? styled('red', 'violated') : styled('gray', 'not asked'),
      `${row.id}  ${row.text}`,
      `${row.left} ms`,
      `${row.right} ms`,
      row.means,
    ]),
  );
  print();
  showTerms('Power loss until the record is taken, at worst (takeover: lease)', proof.takeoverWorstMs, proof.takeoverTerms);
  const preempting = config.groups.filter((group) => group.takeover === 'preempt');
  for (const confirm of ['renewal', 'none'] as const) {
    if (!preempting.some((group) => group.confirm === confirm)) continue;
    showTerms(
      `Power loss until the record is taken, at worst (takeover: preempt, confirm: ${confirm})`,
      proof.preemptWorstMs[confirm],
      proof.preemptTerms[confirm],
    );
  }
  showTerms('Planned move, from "all is stopped" until the record is taken, at worst', proof.plannedWorstMs, proof.plannedTerms);
  for (const group of preempting) {
    print(
      styled(
        'yellow',
        `${group.id}: takeover: preempt does not promise one application at a time. Until it has stopped, the old node may answer stale reads to whoever still reaches it (docs/adr/0007).`,
      ),
    );
  }
};

const FIRST_MS = { binding: 2_500, casual: 1_500 };

/** What a slow answer means depends on who asks: a node's is the cluster's own, a laptop's is not. */
const askArbiter = async (
  wanted: boolean | undefined,
  config: ClusterConfig,
  registry: Registry,
): Promise<{ readonly probe: ArbiterProbe; readonly binding: boolean }> => {
  if (withoutStore(config)) return { probe: { kind: 'not measured', because: 'there is no store' }, binding: false };
  if (wanted === false) return { probe: { kind: 'not measured', because: 'not asked to' }, binding: false };
  const here = nodeHere(config);
  const binding = wanted === true || here !== null;
  const node = here ?? config.nodes[0]?.id ?? '';
  const probe = await probeArbiter({
    config,
    registry,
    node,
    clock: systemClock,
    firstMs: wanted === true ? FIRST_MS.binding : FIRST_MS.casual,
  });
  if (wanted === true && probe.kind === 'not measured')
    throw new UnderstudyError('ARBITER_UNREACHABLE', `arbiter ${config.arbiter.use} could not be measured: ${probe.because}`);
  return { probe, binding };
};

const nodeHere = (config: ClusterConfig): NodeId | null => {
  try {
    return nodeOf(config, {});
  } catch (error) {
    if (error instanceof UnderstudyError && error.code === 'NODE_UNKNOWN') return null;
    throw error;
  }
};

const arbiterLine = ({ arbiter, timing }: ClusterConfig, probe: ArbiterProbe): string =>
  withoutStore({ arbiter })
    ? NO_STORE_WORDS.join('\n')
    : probe.kind === 'measured'
      ? `Arbiter ${arbiter.use}: ${probe.reads} reads, half of them within ${durationText(probe.p50Ms)}, all within ${durationText(probe.maxMs)}; an attempt may take ${durationText(timing.attemptMs)}.`
      : `Arbiter ${arbiter.use}: not measured from here (${probe.because}). On a node: understudy check --probe`;

export const define = (command: Command): void => {
  command
    .option('--config <file>', 'the config file (default: found from here upwards, then /etc/understudy)')
    .option('--print <file>', 'run a TypeScript or JavaScript config and print it as YAML')
    .option('--schema', 'print the JSON Schema for editors')
    .option('--probe', 'the arbiter must answer, and quickly enough for the timing, also where this host is no node')
    .option('--no-probe', 'do not ask the arbiter')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExample: understudy check --config understudy.config.yaml\n         understudy check --print understudy.config.ts > understudy.config.yaml',
    )
    .action(async (options: CheckOptions) => {
      if (options.print !== undefined) {
        const exec = systemExec();
        process.stdout.write(await printConfig(options.print, { run: (file, args, limits) => exec.run(file, args, limits) }));
        return;
      }
      if (options.schema) return printJson(configJsonSchema(await catalogueOf(await loadPlugins(), { arbiter: null })));
      const loaded = await loadConfig(options.config);
      const { config, registry, warnings, desiredOf } = loaded;
      for (const { id } of config.nodes) desiredOf(id);
      const here = nodeHere(config);
      const programs = here === null ? { refused: [], doubtful: [] } : await judgePrograms(loaded, here);
      if (programs.refused.length > 0)
        throw new UnderstudyError(
          'CONFIG_INVALID',
          ['root would refuse to run what this config names:', ...programs.refused].join('\n  '),
          { hint: TRUST_HINT },
        );
      const heartbeatNetworks = config.nodes[0]?.networks.heartbeat.length ?? 0;
      const proof = proveTiming(config.timing, {
        heartbeatNetworks,
        preempt: config.groups.some((group) => group.takeover === 'preempt'),
        watchdogGranularityMs: config.timing.watchdogGranularityMs,
      });
      const { probe, binding } = await askArbiter(options.probe, config, registry);
      const protection = protectionOf(config);
      const objection = objectionToProbe(probe, config.arbiter.use, config.timing.attemptMs);
      if (objection !== null && binding) throw objection;
      if (options.json)
        return printJson({
          file: config.file,
          cfgHash: config.cfgHash,
          warnings,
          programs: programs.doubtful,
          timing: config.timing,
          proof,
          protection,
          arbiter: probe,
        });
      const resources = config.groups.reduce((sum, group) => sum + group.resources.length, 0);
      print(
        `${config.file}: good. Cluster ${config.cluster}, ${count(config.nodes.length, 'node')}, ${count(config.groups.length, 'group')}, ${count(resources, 'resource')}, timing ${config.timing.profile}, config hash ${config.cfgHash.slice(0, 12)}`,
      );
      for (const warning of warnings) print(`${styled('yellow', 'warning:')} ${formatProblem(warning)}`);
      for (const words of programs.doubtful) print(`${styled('yellow', 'warning:')} ${words}`);
      if (objection !== null) print(`${styled('yellow', 'warning:')} as seen from here, ${objection.message}`);
      print(arbiterLine(config, probe));
      print();
      showProof(proof, config);
      print();
      print(styled('bold', 'What keeps two nodes from running a group at once'));
      for (const sentence of protection) print(`  ${sentence}`);
    });
};
