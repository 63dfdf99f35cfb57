// Sentences of a process that want a person, in a file of the run directory: shown by the controller's status also while that
// process is down. Of this boot alone. Invariant: a file that cannot be written costs the sentence, never the process.
import { reasonOf } from '../errors/errors.js';
import type { BootId } from '../model/ids.js';
import type { Log } from '../plugin/contract.js';
import { Alarms } from '../system/alarms.js';
import { type Files, readJson } from '../system/files.js';

export class AlarmFile {
  readonly #alarms = new Alarms();
  readonly #files: Files;
  readonly #path: string;
  readonly #bootId: BootId;
  readonly #log: Log;
  #written = '';

  /** Begins with none: what the process before it said is over, or is said again. */
  constructor(files: Files, path: string, bootId: BootId, log: Log) {
    this.#files = files;
    this.#path = path;
    this.#bootId = bootId;
    this.#log = log;
    this.#write();
  }

  set(subject: string, sentence: string | null): void {
    this.#alarms.set(subject, sentence);
    this.#write();
  }

  #write(): void {
    const text = `${JSON.stringify({ bootId: this.#bootId, alarms: this.#alarms.all() })}\n`;
    if (text === this.#written) return;
    try {
      this.#files.replaceSync(this.#path, text, { fsync: false });
      this.#written = text;
    } catch (error) {
      this.#log.warn('an alarm cannot be shown', { path: this.#path, reason: reasonOf(error) });
    }
  }
}

/** What stands in such a file of this boot. */
export const readAlarms = (files: Files, path: string, bootId: BootId): readonly string[] => {
  const found = readJson(files, path);
  if (found.kind !== 'read' || typeof found.value !== 'object' || found.value === null) return [];
  const { bootId: from, alarms } = found.value as Record<string, unknown>;
  return from === bootId && Array.isArray(alarms) ? alarms.filter((one) => typeof one === 'string') : [];
};
