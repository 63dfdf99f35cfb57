// The fence `exec`: its description and options. The agent's own options are checked against its metadata when it is opened for
// the first time, because only the agent knows them (exec-fence-device.ts).
import { defineFence, options, table, text, z } from 'understudy/plugin';

/** As FenceAgentAPI has it: an XML attribute name. */
const NAME = /^[A-Za-z_][\w.-]*$/;
/** What the fence itself says to the agent. */
const RESERVED: readonly string[] = ['action', 'option', 'nodename', 'agent'];

const value = z
  .union([z.string(), z.number(), z.boolean()])
  .refine((one) => !/[\r\n\0]/.test(String(one)), 'a value is one line')
  .transform((one) => (typeof one === 'boolean' ? (one ? '1' : '0') : String(one)));
const agentOptions = (describe: string) =>
  z
    .record(z.string().regex(NAME, 'an option of an agent is a name like ip or power_timeout'), value)
    .refine((given) => RESERVED.every((name) => !Object.hasOwn(given, name)), `${RESERVED.join(', ')} are set by the fence itself`)
    .describe(describe);

export const EXEC_FENCE_OPTIONS = options({
  agent: text('The agent: a name like fence_ipmilan, or the absolute path of a program that speaks the same protocol').regex(
    /^(fence_[a-z0-9_]+|\/\S+)$/,
    'an agent is fence_NAME or an absolute path',
  ),
  options: agentOptions('Options of the agent for every node; a value file:/PATH is the content of that file').default({}),
  on: z
    .record(z.string(), agentOptions('Options for this node'))
    .describe('Options by node: which plug, which BMC. Every node that it shall power off has an entry of its own'),
  environment: table('Environment of the agent, beside the short one all commands get', z.string()).default({}),
});
export type ExecFenceOptions = z.output<typeof EXEC_FENCE_OPTIONS>;

export const execFence = defineFence({
  summary: 'Powers a node off by a program that speaks the protocol of the fence-agents project.',
  options: EXEC_FENCE_OPTIONS,
  limitMs: 120_000,
  programs: ({ agent }) => [agent],
  open: async (parsed, context) => new (await import('./exec-fence-device.js')).ExecFenceDevice(parsed, context),
});
