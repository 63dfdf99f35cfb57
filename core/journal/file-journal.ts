// The journal on disk. `write` only queues: it never blocks and never throws into the caller, whatever the disk does.
// Lines reach the file within one turn of the loop (so they outlive this process) and the platter in groups. The queue is
// bounded: what does not fit is counted, and the count is journaled. Files rotate by size and number.
import { type FileHandle, open } from 'node:fs/promises';
import { reasonOf, UnderstudyError } from '../errors/errors.js';
import type { JournalEvent, NewEvent } from '../model/event.js';
import type { Clock, Timer } from '../system/clock.js';
import type { Journal } from './journal.js';
import { prune, resume, segmentPath } from './segments.js';

export interface FileJournalOptions {
  readonly directory: string;
  /** `guard`, `controller`, …: the first part of the file name; one writer for each source and directory. */
  readonly source: string;
  readonly node: string;
  readonly bootId: string;
  readonly clock: Clock;
  /** A file that has grown past this is closed and the next begun. Default 8 MiB. */
  readonly maxBytes?: number;
  /** Files kept. Default 8. */
  readonly maxFiles?: number;
  /** Events waiting for the disk; further ones are dropped and counted. Default 10 000. */
  readonly maxQueued?: number;
  /** Written lines are synced so long after the first of them. Default 50 ms. */
  readonly syncAfterMs?: number;
  /** Called with the reason when writing began to fail, and with null when it works again. */
  readonly onTrouble?: (reason: string | null) => void;
  /** Called with every event as it is written: for followers in this process. */
  readonly onEvent?: (event: JournalEvent) => void;
}

/** After a failed write the next try waits so long: a full disk must not cost a core. */
const RETRY_MS = 1000;

export class FileJournal implements Journal {
  private readonly maxBytes: number;
  private readonly maxFiles: number;
  private readonly maxQueued: number;
  private readonly syncAfterMs: number;
  private readonly queue: string[] = [];
  private file: FileHandle | null = null;
  private number: number;
  private bytes: number;
  private nextSeq: number;
  private droppedCount = 0;
  private droppedUnsaid = 0;
  private unsynced = false;
  private trouble: string | null = null;
  private pump: Promise<void> | null = null;
  private timer: Timer | null = null;
  private retry: Timer | null = null;
  private closed = false;

  /** Opens the newest file of the source, cutting off what a crash left half written. Throws JOURNAL_UNWRITABLE. */
  constructor(private readonly options: FileJournalOptions) {
    this.maxBytes = options.maxBytes ?? 8 * 1024 * 1024;
    this.maxFiles = Math.max(1, options.maxFiles ?? 8);
    this.maxQueued = options.maxQueued ?? 10_000;
    this.syncAfterMs = options.syncAfterMs ?? 50;
    try {
      const { number, bytes, nextSeq, cutBytes } = resume(options.directory, options.source);
      [this.number, this.bytes, this.nextSeq] = [number, bytes, nextSeq];
      if (cutBytes > 0)
        this.write({ kind: 'journal.cut', because: 'the last lines were half written when the process ended', data: { bytes: cutBytes } });
    } catch (error) {
      throw new UnderstudyError('JOURNAL_UNWRITABLE', `the journal in ${options.directory} cannot be opened: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Events that found the queue full, since this process started. */
  get dropped(): number {
    return this.droppedCount;
  }

  write(event: NewEvent): void {
    if (this.closed) return;
    if (this.queue.length >= this.maxQueued) {
      this.droppedCount += 1;
      this.droppedUnsaid += 1;
      return;
    }
    if (this.droppedUnsaid > 0 && this.trouble === null) {
      const events = this.droppedUnsaid;
      this.droppedUnsaid = 0;
      this.enqueue({ kind: 'journal.dropped', because: 'more events than the disk could take', data: { events } });
    }
    this.enqueue(event);
    this.wake();
  }

  async sync(): Promise<void> {
    this.retry?.cancel();
    this.retry = null;
    await this.drain(true);
    if (this.trouble !== null)
      throw new UnderstudyError('JOURNAL_UNWRITABLE', `the journal in ${this.options.directory} cannot be written: ${this.trouble}`);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.timer?.cancel();
    this.retry?.cancel();
    await this.drain(true);
    await this.file?.close();
    this.file = null;
  }

  private enqueue(event: NewEvent): void {
    const { clock, node, bootId, source } = this.options;
    const monoMs = event.monoMs ?? clock.nowMs();
    // For people: an event told late still shows when it happened.
    const at = clock.wallIso(monoMs);
    const whole: JournalEvent = { ...event, seq: this.nextSeq, at, monoMs: Math.round(monoMs * 1000) / 1000, node, bootId, source };
    let line: string;
    try {
      line = JSON.stringify(whole);
    } catch (error) {
      // A circular `data` from a plugin must not cost the caller anything.
      line = JSON.stringify({ ...whole, data: { unwritable: reasonOf(error) } });
    }
    this.nextSeq += 1;
    this.queue.push(line);
    this.options.onEvent?.(whole);
  }

  private wake(): void {
    if (this.pump !== null || this.retry !== null) return;
    this.pump = new Promise<void>((done) => setImmediate(() => void this.writeQueued().finally(done))).finally(() => {
      this.pump = null;
      if (this.queue.length > 0 && this.trouble === null && !this.closed) this.wake();
    });
  }

  /** Waits until the queue is empty (or writing fails), then syncs. */
  private async drain(sync: boolean): Promise<void> {
    while (this.pump !== null) await this.pump;
    this.pump = this.writeQueued()
      .then(() => (sync ? this.syncNow() : undefined))
      .finally(() => {
        this.pump = null;
      });
    await this.pump;
  }

  private async writeQueued(): Promise<void> {
    while (this.queue.length > 0) {
      const lines = this.queue.slice(0, 1000);
      const text = Buffer.from(`${lines.join('\n')}\n`);
      try {
        this.file ??= await open(segmentPath(this.options.directory, this.options.source, this.number), 'a', 0o640);
        const { bytesWritten } = await this.file.write(text);
        this.bytes += bytesWritten;
        if (bytesWritten < text.length) throw new Error(`only ${bytesWritten} of ${text.length} bytes were taken`);
        this.queue.splice(0, lines.length);
        this.unsynced = true;
        if (this.bytes >= this.maxBytes) await this.rotate();
        this.works();
      } catch (error) {
        await this.fails(error);
        return;
      }
    }
    if (this.unsynced && this.timer === null && !this.closed) {
      this.timer = this.options.clock.after(
        this.syncAfterMs,
        () => {
          this.timer = null;
          if (this.pump === null) this.pump = this.syncNow().finally(() => ((this.pump = null), this.queue.length > 0 && this.wake()));
        },
        { idle: true },
      );
    }
  }

  private async syncNow(): Promise<void> {
    if (!this.unsynced || this.file === null) return;
    try {
      await this.file.datasync();
      this.unsynced = false;
    } catch (error) {
      await this.fails(error);
    }
  }

  private async rotate(): Promise<void> {
    await this.file?.datasync();
    await this.file?.close();
    this.file = null;
    this.unsynced = false;
    this.number += 1;
    this.bytes = 0;
    prune(this.options.directory, this.options.source, this.maxFiles - 1);
  }

  private works(): void {
    if (this.trouble === null) return;
    this.trouble = null;
    this.options.onTrouble?.(null);
  }

  /** Lets the file go, and comes back in a fresh one after a while: a line cut by a full disk stays alone at its file's end. */
  private async fails(error: unknown): Promise<void> {
    const first = this.trouble === null;
    this.trouble = reasonOf(error);
    const file = this.file;
    this.file = null;
    if (this.bytes > 0) [this.number, this.bytes] = [this.number + 1, 0];
    try {
      await file?.close();
    } catch (closing) {
      this.trouble += `; closing: ${reasonOf(closing)}`;
    }
    if (first) this.options.onTrouble?.(this.trouble);
    if (this.closed || this.retry !== null) return;
    this.retry = this.options.clock.after(
      RETRY_MS,
      () => {
        this.retry = null;
        if (this.queue.length > 0) this.wake();
      },
      { idle: true },
    );
  }
}
