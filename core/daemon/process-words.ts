// How a plugin's long-lived process is named on a command line and in files. Apart from the process itself: its supervisor loads
// nothing of it.
import { UnderstudyError } from '../errors/errors.js';

/** Which process: `disk-mirror/mirror` of `orders-db.data`. */
export interface ProcessChoice {
  readonly process: string;
  readonly group: string;
  readonly resource: string;
}

/** So many words name it; the rest are a daemon's. */
export const OWN_WORDS = 2;

/** Throws USAGE. */
export const parseProcessWords = (words: readonly string[]): ProcessChoice => {
  const [process = '', of = ''] = words;
  const [, group, resource] = /^([a-z0-9][a-z0-9-]*)\.([a-z0-9][a-z0-9-]*)$/.exec(of) ?? [];
  if (!/^[a-z0-9-]+\/[a-z0-9-]+$/.test(process) || group === undefined || resource === undefined)
    throw new UnderstudyError(
      'USAGE',
      'write: understudy process PLUGIN/NAME GROUP.RESOURCE, e.g. understudy process disk-mirror/mirror db.data',
    );
  return { process, group, resource };
};

export const processWords = ({ process, group, resource }: ProcessChoice): readonly string[] => [process, `${group}.${resource}`];

/** The name under which its output, journal, alarms and the supervisor's records stand. */
export const processName = ({ process, group, resource }: ProcessChoice): string => `${process.split('/')[1]}.${group}.${resource}`;
