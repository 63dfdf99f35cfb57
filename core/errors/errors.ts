// The one table of coded errors. Programmer errors are plain assertions and crash the process; these are expected.
// `exit` is the exit status of a command that ends with it (DESIGN 9): 1 failed, 2 usage or config, 3 no daemon, 4 refused.

export const ERRORS = {
  CONFIG_NOT_FOUND: { exit: 2, hint: 'Write understudy.config.yaml here or in /etc/understudy, or name one with --config FILE.' },
  CONFIG_INVALID: { exit: 2, hint: 'Mend the lines named above, then run: understudy check' },
  CONFIG_NEEDS_BUILD: { exit: 2, hint: 'Daemons read YAML and JSON only. Run: understudy check --print FILE.ts > understudy.config.yaml' },
  TIMING_UNSAFE: { exit: 2, hint: 'Use a profile (timing: lan | fast | standard | strict) or change the values named above.' },
  USAGE: { exit: 2, hint: 'See understudy --help.' },
  NODE_UNKNOWN: { exit: 2, hint: 'Name one of the nodes of the config with --node or $UNDERSTUDY_NODE.' },
  KEY_UNUSABLE: { exit: 2, hint: 'Make one with: understudy keygen FILE, mode 0400, the same file on every node.' },
  PLUGIN_INVALID: { exit: 2, hint: 'See docs/reference/plugin-api.md; understudy plugins list shows what was found.' },
  NO_DAEMON: { exit: 3, hint: 'Start it with: understudy run --node NODE, or systemctl start understudy-controller.' },
  REFUSED: { exit: 4, hint: 'This was refused to keep the service and its data safe.' },
  NOT_FOUND: { exit: 1, hint: 'See understudy status for the names that exist.' },
  ARBITER_UNREACHABLE: { exit: 1, hint: 'Check the arbiter of the config and the way to it.' },
  ARBITER_REFUSED: { exit: 1, hint: 'Check the arbiter: its state, its credentials, its clock.' },
  GUARD_UNREACHABLE: { exit: 3, hint: 'The guard of this node is not answering: systemctl status understudy-guard.' },
  COMMAND_FAILED: { exit: 1, hint: 'See the output above.' },
  TIMED_OUT: { exit: 1, hint: 'See understudy status and understudy events.' },
  AGENT_FAILED: { exit: 1, hint: 'See understudy explain for the whole story.' },
  FENCE_FAILED: {
    exit: 1,
    hint: 'See understudy fence status. Whoever has looked may say so: understudy fence confirm NODE --i-have-verified-it-is-off.',
  },
  JOURNAL_UNWRITABLE: { exit: 1, hint: 'Check space and rights of the state directory.' },
  LAB_FAILED: { exit: 1, hint: 'Run understudy lab down, then try again; see docs/how-to/use-the-lab.md.' },
  METADATA: {
    exit: 4,
    hint: 'Nothing was made anew. The way back is in docs/reference/mirror-metadata.md.',
  },
  PROTOCOL: { exit: 1, hint: 'The other side speaks another version or is not understudy.' },
} as const satisfies Record<string, { exit: 1 | 2 | 3 | 4; hint: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** An expected failure: what was attempted on what, why it did not work, and (by its code) what to do next. */
export class UnderstudyError extends Error {
  override readonly name = 'UnderstudyError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, { cause, ...details }: { cause?: unknown; [key: string]: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }

  get hint(): string {
    return typeof this.details['hint'] === 'string' ? this.details['hint'] : ERRORS[this.code].hint;
  }

  get exit(): number {
    return ERRORS[this.code].exit;
  }
}

/** The message of whatever was thrown, for a reason or a log line. */
export const reasonOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
