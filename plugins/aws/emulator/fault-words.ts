// What people type to make the lab's cloud misbehave, read into a fault: `latency 100ms`, `deny ReplaceRoute rtb-lab-2`,
// `stale DescribeRouteTables 2 reads`, `source-dest-check a on`, `clear`. Pure.
import { durationMs, UnderstudyError } from 'understudy/plugin';
import { FAULT, type FaultWords } from './faults.js';

export type LabFault =
  | { readonly kind: 'fault'; readonly fault: FaultWords }
  | { readonly kind: 'clear' }
  | { readonly kind: 'end'; readonly node: string; readonly how: 'terminated' | 'absent' }
  | { readonly kind: 'source-dest-check'; readonly node: string; readonly on: boolean };

const KINDS: readonly string[] = FAULT.shape.kind.options;
const HELP = `Write ${KINDS.join(' | ')} with, as needed, an action (ReplaceRoute), an id (rtb-lab-2), a duration (100ms), "2 reads" or "3 times"; or: source-dest-check NODE on|off; or: end NODE terminated|absent; or: clear.`;

export const faultFrom = (words: readonly string[]): LabFault => {
  const [kind, ...rest] = words;
  if (kind === 'clear' && rest.length === 0) return { kind };
  if (kind === 'end') {
    const [node, how] = rest;
    if (node === undefined || (how !== 'terminated' && how !== 'absent')) throw unknown(words);
    return { kind, node, how };
  }
  if (kind === 'source-dest-check') {
    const [node, on] = rest;
    if (node === undefined || (on !== 'on' && on !== 'off')) throw unknown(words);
    return { kind, node, on: on === 'on' };
  }
  if (kind === undefined || !KINDS.includes(kind)) throw unknown(words);
  const fault: Record<string, unknown> = { kind };
  for (const [index, word] of rest.entries()) {
    const next = rest[index + 1];
    if (word === 'reads' || word === 'times') continue;
    if (/^\d+$/.test(word) && (next === 'reads' || next === 'times')) fault[next] = Number(word);
    else if (/^\d/.test(word) && durationMs('').safeParse(word).success) fault['ms'] = durationMs('').parse(word);
    else if (/^(\*|IMDS|[A-Z][A-Za-z]+[a-z0-9])$/.test(word))
      fault[kind === 'error' && fault['action'] !== undefined ? 'code' : 'action'] = word;
    else if (word === 'applied') fault['applied'] = true;
    else fault['resource'] = word;
  }
  const parsed = FAULT.safeParse(fault);
  if (!parsed.success) throw unknown(words);
  return { kind: 'fault', fault: parsed.data };
};

const unknown = (words: readonly string[]): UnderstudyError =>
  new UnderstudyError('USAGE', `"${words.join(' ')}" is no fault this service can show. ${HELP}`);
