// A timeline as lines of text for people: what, when, how long, why. Nothing is computed here.
import type { Timeline, TimelineStep } from './explain.js';

/** Aligned lines without colours; the first says the whole story in one sentence. */
export const renderTimeline = (timeline: Timeline): string[] => {
  const { incident, kind, group, from, to, because, outcome, steps, totals, notes } = timeline;
  const way = from !== null && to !== null && from !== to ? ` from ${from} to ${to}` : to === null ? '' : ` on ${to}`;
  const lines = [`${kind}${group === null ? '' : ` of ${group}`}${way}: ${because === '' ? 'no reason was written' : because}`];
  const rows = steps.map((step) => [
    `+${amount(step.startMs)}`,
    duration(step),
    step.node,
    step.label,
    step.failed ? `${step.what} FAILED` : step.what,
  ]);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  steps.forEach((step, at) => {
    const cells = (rows[at] ?? []).map((cell, column) =>
      column < 2 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
    );
    lines.push(`  ${cells.join('  ')}  ${step.because}`.trimEnd());
  });
  const parts = Object.entries(totals)
    .filter(([label]) => label !== 'total' && label !== 'client' && label !== 'note')
    .map(([label, ms]) => `${label} ${amount(ms)}`);
  lines.push(
    `  total ${amount(totals['total'] ?? 0)}${parts.length === 0 ? '' : ` (${parts.join(', ')})`}${totals['client'] === undefined ? '' : `; clients waited ${amount(totals['client'])}`}`,
  );
  for (const note of notes) lines.push(`  note: ${note}`);
  lines.push(`  ${outcome === null ? 'not ended yet' : `ended ${outcome}`}; incident ${incident}`);
  return lines;
};

const duration = ({ durationMs }: TimelineStep): string => (durationMs === null ? '…' : amount(durationMs));

const amount = (ms: number): string => (ms >= 10_000 ? `${(ms / 1_000).toFixed(1)} s` : `${ms < 10 ? ms : Math.round(ms)} ms`);
