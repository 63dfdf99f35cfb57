// The parsers that are fuzzed (SAFETY S14): everything that reads what another process, node, store or service wrote.
import { createHmac, createSecretKey, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readJsonBody, readOrder, readTarget } from '../../core/api/read-request.js';
import { readDocument } from '../../core/config/document.js';
import { parseConfig } from '../../core/config/parse.js';
import { UnderstudyError } from '../../core/errors/errors.js';
import { messageToGuard, ordersRequest } from '../../core/guard/read-message.js';
import { linkMessage } from '../../core/link/messages.js';
import { createFrameCodec, MAX_BODY_BYTES, MAX_FRAME_BYTES } from '../../core/membership/frame.js';
import { decodeMessage, encodeMessage } from '../../core/membership/message.js';
import { ArbiterError } from '../../core/ownership/arbiter.js';
import { encodeGroupOrders, encodeNodeOrders, parseGroupOrders, parseNodeOrders } from '../../core/ownership/orders.js';
import { cksum, decodePage, encodePage, PAGE_BYTES } from '../../core/ownership/page-codec.js';
import { encodeRecord, parseRecord } from '../../core/ownership/record-codec.js';
import { encodeFrame, FrameDecoder } from '../../core/system/framed-socket.js';
import { parseKeys } from '../../core/system/key-file.js';
import { readCredentials } from '../../plugins/aws/imds.js';
import { bodyOf, partsOf, versionedOf } from '../../plugins/aws/s3-body.js';
import { parseAnswer, parseGreeting, parseWelcome } from '../../plugins/witness/answers.js';
import { ClientGreeting, Hello, Request } from '../../plugins/witness/messages.js';
import {
  connectionKeys,
  FrameReader,
  MAX_FRAME_BYTES as WITNESS_FRAME_BYTES,
  Opener,
  Sealer,
  WireError,
} from '../../plugins/witness/wire.js';
import { ec2Answer } from './ec2-answer.js';
import { mirrorFrame } from './mirror-frame.js';
import { nbdNegotiation, nbdTransmission } from './nbd.js';
import { mirrorLog, mirrorPage, mirrorSignatures, mirrorSuperblock } from './mirror-metadata.js';
import { assertStable, assertThat, type Target } from './target.js';

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const textOf = (bytes: Buffer): string => bytes.toString('utf8');

/** `documented` when the parser threw what it says it throws; anything else is thrown on. */
const documented = (is: (error: unknown) => boolean, call: () => string): string => {
  try {
    return call();
  } catch (error) {
    if (is(error)) return 'refused';
    throw error;
  }
};
const coded =
  (...codes: readonly string[]) =>
  (error: unknown): boolean =>
    error instanceof UnderstudyError && codes.includes(error.code);

const KEY = { id: 1, bytes: Buffer.alloc(32, 7) };
const KEYS = { current: KEY, all: [KEY, { id: 2, bytes: Buffer.alloc(32, 9) }] };
const ONE = createFrameCodec({ cluster: 'orders', self: 'a', peers: ['b', 'c'], keys: KEYS });
const OTHER = createFrameCodec({ cluster: 'orders', self: 'b', peers: ['a', 'c'], keys: KEYS });
const BEAT_GROUP = { group: 'db', epoch: 7, seq: 41, version: '41', phase: 'held', stopped: false } as const;
const BODIES = [
  { kind: 'beat', cfgHash: 'c0ffee', groups: [BEAT_GROUP, { ...BEAT_GROUP, group: 'web', phase: 'idle', stopped: true }] },
  { kind: 'beat', cfgHash: 'c0ffee', groups: [] },
  { kind: 'nudge', group: 'db', epoch: 7 },
  { kind: 'please-stop', group: 'db', epoch: 7 },
  { kind: 'ask', group: 'db', epoch: 7, round: 3, waitMs: 400 },
  { kind: 'grant', group: 'db', epoch: 7, round: 3, sees: true },
  { kind: 'refuse', group: 'db', epoch: 7, round: 3, knows: 8, because: 'b is fenced' },
] as const;
const bodies = BODIES.flatMap((message) => encodeMessage(message, MAX_BODY_BYTES) ?? []).map((body) => Buffer.from(body));
const frames = [...bodies, Buffer.alloc(0), Buffer.alloc(MAX_BODY_BYTES, 65)].map((body, index) =>
  Buffer.from(
    ONE.encode({
      peer: 'b',
      bootId: '0123456789abcdef0123456789abcdef',
      seq: 1000 + index,
      network: index % 2,
      sentUs: 5_000_000,
      echo: index % 2 === 0 ? null : { sentUs: 4_000_000, heldUs: 70 },
      challenge: 'c1'.repeat(16),
      answer: index % 3 === 0 ? null : 'd2'.repeat(16),
      body,
    }),
  ),
);
const signed = new Set(frames.map((frame) => frame.toString('latin1')));
const signing = createSecretKey(Buffer.from(hkdfSync('sha256', KEY.bytes, '', 'understudy heartbeat 1', 32)));
const TAG_BYTES = 32;

const heartbeatFrame: Target = {
  name: 'heartbeat-frame',
  seeds: frames,
  repair: (bytes) => {
    const body = bytes.subarray(0, Math.min(bytes.length, MAX_FRAME_BYTES - TAG_BYTES));
    return Buffer.concat([body, createHmac('sha256', signing).update(body).digest()]);
  },
  judge: (bytes, repaired) => {
    const decoded = OTHER.decode(bytes);
    if (!decoded.ok) return decoded.reason;
    assertThat(repaired || signed.has(bytes.toString('latin1')), 'a frame that nobody signed is accepted');
    const { seq, sentUs, bootId, body } = decoded.frame;
    assertThat(Number.isSafeInteger(seq) && Number.isSafeInteger(sentUs) && /^[!-~]{1,32}$/.test(bootId), 'a header that is no header');
    assertThat(body.length <= MAX_BODY_BYTES, 'a body that no frame can hold');
    return 'accepted';
  },
  slowMs: 50,
};

const heartbeatMessage: Target = {
  name: 'heartbeat-message',
  seeds: bodies,
  values: bodies.map((body) => JSON.parse(textOf(body)) as unknown),
  judge: (bytes) => {
    const read = decodeMessage(bytes);
    if (read === null) return 'refused';
    const [again] = (encodeMessage(read.message, bytes.length + 4096) ?? []).map((body) => decodeMessage(body));
    assertStable(read.message, again?.message);
    return read.message.kind;
  },
  slowMs: 50,
};

const MEMBERS = [
  { id: 'a', bootId: 'b1' },
  { id: 'b', bootId: 'b2' },
];
const RECORD = {
  v: 1,
  epoch: 7,
  holder: 'a',
  bootId: 'b1',
  nonce: 'n1',
  seq: 41,
  state: 'HELD',
  ttlW: 16_000,
  d: 6000,
  members: MEMBERS,
  inSync: MEMBERS,
  successor: null,
  watchdog: true,
  reason: 'first start',
  prevHolder: null,
  cfgHash: 'c0ffee',
};
const records = [RECORD, { ...RECORD, fencing: [] }, { ...RECORD, state: 'RELEASED', holder: null, successor: 'b' }].flatMap((record) => [
  record,
  { ...record, fencing: [{ node: 'b', bootId: 'b2', epoch: 6 }] },
]);

const leaseRecord: Target = {
  name: 'lease-record',
  seeds: records.map(json),
  values: records,
  judge: (bytes) => {
    const read = parseRecord(textOf(bytes));
    if (read.kind === 'invalid') return 'invalid';
    const again = parseRecord(encodeRecord(read.record));
    assertStable(read.record, again.kind === 'record' ? again.record : again);
    return 'record';
  },
  slowMs: 50,
};

const GROUP_ORDERS = {
  v: 1,
  want: 'online',
  move: { id: 'm1', to: 'b', by: 'kim', why: 'kernel' },
  frozen: false,
  maintenance: false,
  clears: 2,
  failovers: [{ epoch: 3, from: 'a', to: 'b', because: 'a is lost' }],
  by: 'kim',
  why: 'kernel',
};
const NODE_ORDERS = { v: 1, standby: false, maintenance: true, by: 'kim', why: 'kernel' };

const ordersRecord: Target = {
  name: 'orders-record',
  seeds: [GROUP_ORDERS, NODE_ORDERS].map(json),
  values: [GROUP_ORDERS, NODE_ORDERS],
  judge: (bytes) => {
    const text = textOf(bytes);
    const [group, node] = [parseGroupOrders(text), parseNodeOrders(text)];
    if (group.kind === 'orders') assertStable(group, parseGroupOrders(encodeGroupOrders(group.orders)));
    if (node.kind === 'orders') assertStable(node, parseNodeOrders(encodeNodeOrders(node.orders)));
    return group.kind === 'orders' ? 'group' : node.kind === 'orders' ? 'node' : 'invalid';
  },
  slowMs: 50,
};

const PAGE = {
  epoch: 7,
  state: 'HELD',
  deadlineMonoNs: 123_456_789_012n,
  deadlineBootMs: 123_456,
  bootOffsetMs: 0,
  bootId: 'b1',
  nonce: 'n1',
  inSync: ['a', 'b'],
} as const;
const pages = [PAGE, { ...PAGE, state: 'DEAD', inSync: [] } as const, { ...PAGE, bootOffsetMs: -5 }].map((page) =>
  Buffer.from(encodePage(page)),
);

const leasePage: Target = {
  name: 'lease-page',
  seeds: pages,
  repair: (bytes) => {
    const text = bytes.toString('latin1').trimEnd();
    const line = text.slice(0, Math.max(0, text.lastIndexOf(' ')));
    return Buffer.from(`${`${line} ${cksum(Buffer.from(line, 'latin1'))}`.padEnd(PAGE_BYTES - 1)}\n`, 'latin1');
  },
  judge: (bytes, repaired) => {
    const page = decodePage(bytes);
    if (page === null) return 'no page';
    assertThat(repaired || pages.some((good) => good.equals(bytes)), 'a page whose checksum is wrong is read');
    assertThat(decodePage(encodePage(page)) !== null, 'a page that was read cannot be written');
    return page.state;
  },
  slowMs: 50,
};

const ORDERS = [
  { verb: 'switchover', group: 'db', to: 'b', by: 'kim', why: 'kernel', wait: true, timeoutMs: 5000 },
  { verb: 'fence-confirm', node: 'b', confirm: 'b', by: 'kim', why: 'off' },
  { verb: 'fence', node: 'b', confirm: 'b', by: 'kim', why: 'stuck', force: true, wait: true, timeoutMs: 600_000 },
];
const targets = [
  '/v1/status',
  '/v1/plan?op=switchover&group=db&to=b',
  '/v1/hooks/db%2d1',
  '/v1/events?after=2026-01-01T00:00:00Z&follow=1',
];

const apiRequest: Target = {
  name: 'api-request',
  seeds: [...ORDERS.map(json), ...targets.map((target) => Buffer.from(target))],
  values: ORDERS,
  judge: (bytes) =>
    documented(coded('USAGE'), () => {
      if (bytes[0] === 0x2f) return `address of ${Math.min(5, readTarget(bytes.toString('latin1')).path.length)}`;
      const order = readOrder(readJsonBody(bytes));
      assertThat(typeof order.verb === 'string' && order.verb.length <= 1000, 'an order without a verb');
      return 'order';
    }),
  slowMs: 50,
};

const framedTarget = (name: string, values: readonly unknown[], judged: (message: unknown) => string): Target => ({
  name,
  seeds: values.map((value) => encodeFrame(value)),
  values,
  encode: (value) => encodeFrame(value ?? null),
  repair: (bytes) => {
    if (bytes.length >= 4) bytes.writeUInt32BE(bytes.length - 4);
    return bytes;
  },
  judge: (bytes) =>
    documented(coded('PROTOCOL'), () => {
      const decoder = new FrameDecoder();
      const cut = bytes.length >> 1;
      const messages = [...decoder.push(bytes.subarray(0, cut)), ...decoder.push(bytes.subarray(cut))];
      return messages.length === 0 ? 'unfinished' : judged(messages[0]);
    }),
  slowMs: 50,
});

const CHANGE = {
  key: 'group',
  group: 'db',
  set: { frozen: true, move: null, addFailover: { epoch: 1, from: null, to: 'b', because: 'x' }, by: 'k', why: 'w' },
};
const WILL = { group: 'db', want: 'hold', rank: 0, blockers: ['none'], preemptOk: false, successor: null, because: 'x' };

const guardSocket = framedTarget(
  'guard-socket',
  [
    { t: 'hello', role: 'controller', pid: 7, startTime: '55' },
    { t: 'wills', wills: [WILL], loopLagMs: 1.5, saidMs: 20 },
    { t: 'fenced', group: 'db', node: 'b', bootId: 'b2', forEpoch: 7, evidence: 'seen' },
    { t: 'orders', id: 1, request: CHANGE },
    { t: 'leave', forMs: 1000 },
    { t: 'view?' },
  ],
  (message) => {
    const read = messageToGuard(message);
    if (read?.t === 'orders') return ordersRequest(read.request) === null ? 'orders refused' : 'orders';
    return read?.t ?? 'refused';
  },
);

const linkFrame = framedTarget(
  'link-frame',
  [
    { t: 'hello', v: 1, cluster: 'orders', node: 'b' },
    {
      t: 'report',
      report: {
        node: 'b',
        bootId: 'b2',
        cfgHash: 'c',
        groups: { db: { resources: { pg: { state: 'online', reason: '' } }, blockers: [] } },
      },
    },
    { t: 'order', id: 'x', request: CHANGE },
    { t: 'prepare', id: 'x', group: 'db' },
    { t: 'answer', id: 'x', ok: true, value: { blockers: [] } },
  ],
  (message) => linkMessage(message)?.t ?? 'refused',
);

const nonce = 'ab'.repeat(16);
const wireKeys = connectionKeys(KEY.bytes, nonce, nonce);
const wireSeeds: readonly unknown[] = [
  { t: 'hello', cluster: 'orders', node: 'a' },
  { t: 'read', id: 1, keys: ['understudy/orders/db'] },
  { t: 'cas', id: 2, key: 'understudy/orders/db', expected: '41', value: '{}' },
  { t: 'follow', keys: ['understudy/orders/db'] },
  { t: 'welcome', stateId: '0123456789abcdef', generation: 5 },
  { t: 'values', id: 1, values: [{ key: 'k', value: 'v', version: '1' }], last: true, generation: 5 },
  { t: 'conflict', id: 2, current: { key: 'k', value: 'v', version: '1' }, generation: 5 },
  { t: 'push', value: { key: 'k', value: 'v', version: '1' } },
  { client: 1, nonce },
  { witness: 1, nonce },
];
const seal = (value: unknown): Buffer => new Sealer(wireKeys['to-witness']).seal(value ?? null);
const sealed = new Set(wireSeeds.map((value) => seal(value).toString('latin1')));

const witnessWire: Target = {
  name: 'witness-wire',
  seeds: wireSeeds.map(seal),
  values: wireSeeds,
  encode: seal,
  repair: (bytes) => {
    const payload = bytes.subarray(4, Math.max(4, bytes.length - TAG_BYTES));
    const tag = createHmac('sha256', wireKeys['to-witness']).update(Buffer.alloc(8)).update(payload).digest();
    const whole = Buffer.concat([Buffer.alloc(4), payload, tag]);
    whole.writeUInt32BE(whole.length - 4);
    return whole;
  },
  judge: (bytes, repaired) =>
    documented(
      (error) => error instanceof WireError,
      () => {
        const reader = new FrameReader(WITNESS_FRAME_BYTES);
        const [frame] = [...reader.push(bytes)];
        if (frame === undefined) return 'unfinished';
        const said = new Opener(wireKeys['to-witness']).open(frame);
        if (said === null) return 'bad tag';
        const whole = Buffer.concat([bytes.subarray(0, 4), frame]).toString('latin1');
        assertThat(repaired || sealed.has(whole), 'a frame that nobody sealed is opened');
        for (const schema of [Request, Hello, ClientGreeting]) if (schema.safeParse(said).success) return 'from a client';
        const { t } = said as { readonly t?: unknown };
        if (t === 'welcome') parseWelcome(said);
        else if (t === undefined) parseGreeting(said);
        else parseAnswer(said);
        return 'from the witness';
      },
    ),
  slowMs: 50,
};

const credentials = { Code: 'Success', AccessKeyId: 'AK', SecretAccessKey: 'SK', Token: 'T', Expiration: '2026-01-01T00:00:00Z' };
const imdsCredentials: Target = {
  name: 'imds-credentials',
  seeds: [json(credentials)],
  values: [credentials],
  judge: (bytes) =>
    documented(coded('AGENT_FAILED'), () => {
      const read = readCredentials(textOf(bytes), 'role');
      assertThat(!Number.isNaN(read.expiration.getTime()), 'credentials that end never');
      return 'credentials';
    }),
  slowMs: 50,
};

const keyFile: Target = {
  name: 'key-file',
  seeds: [
    Buffer.from(`# The key\nunderstudy-key-1 7 ${'0123456789abcdef'.repeat(4)}\n`),
    Buffer.from(`understudy-key-1 2 ${'fedcba9876543210'.repeat(4)}\r\nunderstudy-key-1 1 ${'0123456789abcdef'.repeat(4)}\r\n`),
  ],
  judge: (bytes) =>
    documented(coded('KEY_UNUSABLE'), () => {
      const { all } = parseKeys(bytes.toString('latin1'), 'f');
      assertThat(all.length <= 2 && all.every((key) => key.bytes.length === 32), 'a key that is not one of 32 bytes');
      return `${all.length} keys`;
    }),
  slowMs: 50,
};

const good = readFileSync(new URL('../../../test/config/good.yaml', import.meta.url));
const config: Target = {
  name: 'config-yaml',
  seeds: [
    good,
    Buffer.from('a: &x {b: [1, *x], <<: *x}\nc: |\n  text\n? d\n: !!set {e}\n'),
    Buffer.from('cluster: c\nnodes: {a: {networks: {heartbeat: [10.0.0.1]}}}\ntiming: {profile: lan, renew: 5s}\n'),
    Buffer.from('{"cluster": "c", "groups": {"g": {"resources": {"r": {"use": "x", "after": ["r"]}}}}}'),
  ],
  judge: (bytes) => {
    const text = textOf(bytes);
    const { document } = readDocument(text, 'f.yaml');
    if (document === null) return 'cannot be read';
    return 'config' in parseConfig(text, 'f.yaml') ? 'config' : 'problems';
  },
  slowMs: 150,
  oneOf: 50,
};

const S3_BODIES = [bodyOf(41, 'n1', JSON.stringify(RECORD)), bodyOf(0, '', '')];

const s3Object: Target = {
  name: 's3-object',
  seeds: S3_BODIES.map((text) => Buffer.from(text)),
  values: S3_BODIES.map((text) => JSON.parse(text) as unknown),
  judge: (bytes) =>
    documented(
      (error) => error instanceof ArbiterError && error.kind === 'refused',
      () => {
        const read = versionedOf('k', { etag: 'e', text: textOf(bytes) });
        assertThat(read !== null && typeof read.value === 'string', 'an object without a value');
        const [number, etag] = partsOf(read!.version);
        assertThat(Number.isSafeInteger(number) && etag !== '', `a version that cannot be told apart: ${read!.version}`);
        return 'object';
      },
    ),
  slowMs: 50,
};

/** All of them, the cheap ones first. */
export const TARGETS: readonly Target[] = [
  heartbeatFrame,
  heartbeatMessage,
  leaseRecord,
  ordersRecord,
  leasePage,
  apiRequest,
  guardSocket,
  linkFrame,
  witnessWire,
  nbdNegotiation,
  nbdTransmission,
  s3Object,
  imdsCredentials,
  keyFile,
  config,
  ec2Answer,
  mirrorFrame,
  mirrorSuperblock,
  mirrorPage,
  mirrorSignatures,
  mirrorLog,
];
