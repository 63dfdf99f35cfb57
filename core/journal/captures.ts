// Keeps the planner's inputs: a bounded ring of JSON files, one for each plan that had actions (or failed), so that every
// decision can be run again (`understudy replay`). Turned into text after the actions have begun: never on their path.
import { mkdirSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { Capture } from './replay.js';

export interface CaptureOptions {
  readonly directory: string;
  /** Files kept. Default 64. */
  readonly maxFiles?: number;
  /** Captures waiting for the disk; further ones are dropped and counted. Default 8. */
  readonly maxQueued?: number;
  readonly onTrouble?: (reason: string) => void;
}

export class Captures {
  private readonly queue: Capture[] = [];
  private readonly names: string[];
  private next: number;
  private pump: Promise<void> | null = null;
  private droppedCount = 0;

  constructor(private readonly options: CaptureOptions) {
    mkdirSync(options.directory, { recursive: true, mode: 0o750 });
    this.names = captureFiles(options.directory).map(({ name }) => name);
    this.next = (captureFiles(options.directory).at(-1)?.number ?? 0) + 1;
  }

  get dropped(): number {
    return this.droppedCount;
  }

  /** Keeps the values by reference until the disk is free: they are never changed by anybody. */
  keep(capture: Capture): void {
    if (this.queue.length >= (this.options.maxQueued ?? 8)) {
      this.droppedCount += 1;
      return;
    }
    this.queue.push(capture);
    this.pump ??= new Promise<void>((done) => setImmediate(() => void this.writeQueued().finally(done))).finally(() => {
      this.pump = null;
    });
  }

  /** Resolves when nothing waits for the disk. */
  async settled(): Promise<void> {
    while (this.pump !== null) await this.pump;
  }

  private async writeQueued(): Promise<void> {
    for (let capture = this.queue.shift(); capture !== undefined; capture = this.queue.shift()) {
      const name = `capture-${String(this.next).padStart(6, '0')}.json`;
      const path = join(this.options.directory, name);
      this.next += 1;
      try {
        await writeFile(`${path}.new`, JSON.stringify(capture), { mode: 0o640 });
        await rename(`${path}.new`, path);
        this.names.push(name);
        while (this.names.length > (this.options.maxFiles ?? 64)) unlinkSync(join(this.options.directory, this.names.shift()!));
      } catch (error) {
        this.options.onTrouble?.(reasonOf(error));
      }
    }
  }
}

/** The captures of a directory, oldest first. */
export const captureFiles = (directory: string): readonly { readonly name: string; readonly number: number }[] =>
  readdirSync(directory)
    .flatMap((name) => {
      const digits = /^capture-(\d+)\.json$/.exec(name)?.[1];
      return digits === undefined ? [] : [{ name, number: Number(digits) }];
    })
    .sort((one, other) => one.number - other.number);

/** Throws NOT_FOUND when there is no such file, USAGE when it is not a capture. */
export const readCapture = (path: string): Capture => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UnderstudyError('NOT_FOUND', `the capture ${path} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  try {
    const value = JSON.parse(text) as Capture;
    if (value.v === 1 && value.desired !== undefined && value.observed !== undefined) return value;
  } catch (error) {
    throw new UnderstudyError('USAGE', `${path} is not a capture: ${reasonOf(error)}`, {
      cause: error,
      hint: 'Name a file of the captures directory.',
    });
  }
  throw new UnderstudyError('USAGE', `${path} is not a capture of this version`, { hint: 'Name a file of the captures directory.' });
};
