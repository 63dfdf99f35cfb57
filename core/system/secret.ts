// A secret of the config: a reference `file:/PATH`, read when it is needed and not before. Invariant: whatever prints it (a
// template, JSON, an inspector, an error, the log) prints the reference; the content leaves by `reveal` alone.
import { inspect } from 'node:util';
import { SECRET_REFERENCE } from '../config/secret-reference.js';
import { UnderstudyError } from '../errors/errors.js';
import { readPrivateFile } from './private-file.js';

const SHOWN = '(secret)';
/** A shorter one is found in half of all texts, and is no secret. */
const LEAST_HIDDEN = 3;

export class Secret {
  readonly #file: string;
  readonly #what: string;
  #last = '';

  /** Throws CONFIG_INVALID when it is no reference; its words never show what was given instead. `what`: e.g. `the password`. */
  constructor(reference: string, what = 'the secret') {
    if (!SECRET_REFERENCE.test(reference))
      throw new UnderstudyError(
        'CONFIG_INVALID',
        `${what} is given in place, and secrets do not belong there: write file:/PATH of a file that only its owner can read`,
      );
    this.#file = reference.slice('file:'.length);
    this.#what = what;
  }

  /** The one line in the file, as it is now. Throws KEY_UNUSABLE. */
  reveal(): string {
    const text = readPrivateFile(this.#file, this.#what)
      .toString('utf8')
      .replace(/\r?\n$/, '');
    const why = text === '' ? 'it is empty' : /[\r\n\0]/.test(text) ? 'it holds more than one line' : null;
    if (why !== null) throw new UnderstudyError('KEY_UNUSABLE', `cannot use ${this.#what} ${this.#file}: ${why}`);
    this.#last = text;
    return text;
  }

  /** The text without what was last revealed, as it is or in the usual codings: for words of a program that was given it. */
  hideIn(text: string): string {
    if (this.#last.length < LEAST_HIDDEN) return text;
    const bytes = Buffer.from(this.#last);
    const forms = [
      this.#last,
      JSON.stringify(this.#last).slice(1, -1),
      encodeURIComponent(this.#last),
      bytes.toString('base64').replace(/=+$/, ''),
      bytes.toString('hex'),
    ];
    return forms.reduce((left, form) => left.replaceAll(form, SHOWN), text);
  }

  toString(): string {
    return `file:${this.#file}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return `Secret(${this.toString()})`;
  }
}
