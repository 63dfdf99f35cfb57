// The options that all daemons take on the command line, handed over as words: the daemons parse them themselves, so that
// they need nothing of the CLI when they are started on their own.
import type { Command } from 'commander';

export const daemonOptions = (command: Command): Command =>
  command
    .option('--node <node>', 'which node of the config this is (default: $UNDERSTUDY_NODE, else the node that has an address of this host)')
    .option('--config <file>', 'the config file (default: found from here upwards, then /etc/understudy)')
    .option('--run-dir <dir>', 'sockets and lease pages (default: $UNDERSTUDY_RUN_DIR, /run/understudy)')
    .option('--state-dir <dir>', 'journal and captures (default: $UNDERSTUDY_STATE_DIR, /var/lib/understudy)')
    .option('--log-dir <dir>', 'logs (default: $UNDERSTUDY_LOG_DIR, /var/log/understudy)')
    .option('--log-level <level>', 'error, warn, info or debug');
