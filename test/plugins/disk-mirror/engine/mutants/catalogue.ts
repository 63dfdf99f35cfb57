// Rules of the mirror done wrong in one place (SAFETY c.4), as edits of the built modules. Each is caught by a random history; the
// seed is the first that does. Production code knows nothing of it. A text that is not found exactly once is an error.

export interface MirrorMutant {
  readonly name: string;
  readonly rule: string;
  readonly edits: readonly { readonly module: string; readonly find: string; readonly put: string }[];
  /** The first seed whose history sees it. */
  readonly seed: number;
}

const ENGINE = 'plugins/disk-mirror/engine';

export const MIRROR_MUTANTS: readonly MirrorMutant[] = [
  {
    name: 'insync-removed-after-answer',
    rule: 'W2, I-D9',
    edits: [
      {
        module: `${ENGINE}/answers.js`,
        find: "if (request.kind === 'read' ? core.standing.even : !lease.peerInSync || this.#peerNeedsNot(request))",
        put: "if (request.kind === 'read' || core.standing.missed() === undefined)",
      },
      {
        module: `${ENGINE}/standing.js`,
        find: "case 'lost':\n            case 'removing':",
        put: "case 'lost':\n                return false;\n            case 'removing':",
      },
    ],
    seed: 2,
  },
  {
    name: 'bit-durable-after-send',
    rule: 'W1, I-D3',
    edits: [
      {
        module: `${ENGINE}/activity.js`,
        find: 'if (!metadata.isActive(extent))\n                return false;',
        put: 'if (!metadata.isActive(extent))\n                this.#kept.add(extent);',
      },
    ],
    seed: 0,
  },
  {
    name: 'bit-cleared-on-applied',
    rule: 'W3',
    edits: [
      {
        module: `${ENGINE}/write-path.js`,
        find: 'if (request.fua)\n',
        put: 'if (request.peerHas) this.#core.bits.clear(this.#core.chunkOf(request.begin));\n        if (request.fua)\n',
      },
    ],
    seed: 8,
  },
  {
    name: 'resync-answer-clears-newer-bit',
    rule: 'W3, b.6',
    edits: [
      {
        module: `${ENGINE}/resync-source.js`,
        find: 'this.#core.rounds.list(piece.chunk, piece.chunks);',
        put: 'for (let c = piece.chunk; c < piece.chunk + piece.chunks; c++) this.#core.bits.clear(c);',
      },
    ],
    seed: 56,
  },
  {
    name: 'memory-of-a-piece-used-before-its-answer',
    rule: 'b.6, I-D7',
    edits: [
      {
        module: `${ENGINE}/piece-memory.js`,
        find: 'return new Uint8Array(length);',
        put: 'return (this.one ??= new Uint8Array(262144));',
      },
    ],
    seed: 2,
  },
  {
    name: 'handshake-none-with-bits',
    rule: '0.7, I-D4',
    edits: [{ module: 'plugins/disk-mirror/handshake/decide.js', find: 'equal(x, y) && !dirty(x, y)', put: 'equal(x, y)' }],
    seed: 0,
  },
  {
    name: 'epoch-not-durable-before-answer',
    rule: 'a.11, I-D8',
    edits: [
      {
        module: `${ENGINE}/session.js`,
        find: 'core.save({ maxEpochSeen: this.epoch }, agree);',
        put: '{ core.save({ maxEpochSeen: this.epoch }); agree(); }',
      },
    ],
    seed: 0,
  },
  {
    name: 'no-settle-before-serve',
    rule: 'W7',
    // Alone it is no fault any more: what is not settled holds its answers until the peer is out of the record.
    edits: [
      { module: `${ENGINE}/promotion.js`, find: 'return this.#core.bits.count() > 0 &&', put: 'return false &&' },
      { module: `${ENGINE}/promotion.js`, find: 'core.standing.begin(promoting.even);', put: 'core.standing.begin(true);' },
    ],
    seed: 3370,
  },
  {
    name: 'peer-boot-ignored',
    rule: 'W6, W7',
    edits: [{ module: 'plugins/disk-mirror/handshake/decide.js', find: 'x.peerBootId === y.bootId &&', put: '' }],
    seed: 392,
  },
  {
    name: 'shared-generation-forgotten',
    rule: 'b.1',
    edits: [{ module: `${ENGINE}/resync-source.js`, find: 'standing.share();\n            this.#core.ports', put: 'this.#core.ports' }],
    seed: 1313,
  },
  {
    name: 'source-not-durable-before-resync',
    rule: 'W3, b.6',
    edits: [
      {
        module: `${ENGINE}/resync-source.js`,
        find: 'flushes.here((error) => error === null && run === this.#run && this.#offer());',
        put: 'this.#offer();',
      },
    ],
    seed: 650,
  },
  {
    name: 'no-interval-locks',
    rule: 'W4',
    edits: [
      { module: `${ENGINE}/interval-locks.js`, find: 'if (this.overlapped(interval.begin, interval.end))', put: 'if (false)' },
      { module: `${ENGINE}/interval-locks.js`, find: 'if (interval.begin < waiter.end && waiter.begin < interval.end)', put: 'if (false)' },
    ],
    seed: 0,
  },
  {
    name: 'stream-numbered-anew',
    rule: 'a.11',
    edits: [{ module: `${ENGINE}/stream.js`, find: 'if (this.open)\n            return;', put: '' }],
    seed: 56,
  },
  {
    name: 'fua-not-flushed',
    rule: 'b.2, I-D2',
    edits: [{ module: `${ENGINE}/write-path.js`, find: 'if (request.fua)\n', put: 'if (false)\n' }],
    seed: 0,
  },
  {
    name: 'flush-of-this-copy-only',
    rule: 'W5, I-D2',
    edits: [{ module: `${ENGINE}/flushes.js`, find: "(there || this.#core.options.mode === 'async')", put: 'true' }],
    seed: 1,
  },
  {
    name: 'inconsistent-not-marked',
    rule: 'b.4, row 13',
    edits: [{ module: `${ENGINE}/resync-target.js`, find: "disk: 'Inconsistent', current, resync", put: 'current, resync' }],
    seed: 10,
  },
  {
    name: 'read-before-even',
    rule: 'W7',
    edits: [
      { module: `${ENGINE}/answers.js`, find: "request.kind === 'read' ? core.standing.even : ", put: "request.kind === 'read' || " },
    ],
    seed: 751,
  },
  {
    name: 'record-not-asked-after-a-restart',
    rule: 'a.11, I-D9',
    edits: [
      {
        module: `${ENGINE}/standing.js`,
        find: "this.#mayBeIn = true;\n        this.#recorded = null;\n        this.coveredSerial = 0;\n        this.#state = 'lost';",
        put: "this.#mayBeIn = this.#core.ports.lease().peerInSync;\n        this.#recorded = null;\n        this.coveredSerial = 0;\n        this.#state = this.#mayBeIn ? 'lost' : 'alone';",
      },
    ],
    seed: 116,
  },
];

/** The module with the mutant in it. */
export const mutatedModule = ({ name, edits }: MirrorMutant, module: string, source: string): string =>
  edits
    .filter((edit) => edit.module === module)
    .reduce((text, { find, put }) => {
      const places = text.split(find).length - 1;
      if (places !== 1) throw new Error(`the mutant ${name} does not apply to ${module}: found ${places} times: ${find}`);
      return text.replace(find, () => put);
    }, source);
