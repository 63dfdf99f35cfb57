// What plugins would add to the file's language, made for these tests.
import { argv, choice, durationMs, integer, options, text } from 'understudy/plugin';
import type { Catalogue } from '../../core/config/catalogue.js';

export const catalogue: Catalogue = {
  agents: {
    floating: {
      summary: 'An address',
      options: options({
        address: text('The address'),
        port: integer('A port', { min: 1, max: 9 }).default(1),
        mode: choice('How', ['fast', 'safe']).default('safe'),
      }),
      fencedByEpoch: true,
    },
    program: {
      summary: 'A program',
      options: options({ start: argv('What to start'), grace: durationMs('How long', 10_000) }),
      fencedByEpoch: ({ grace }: { grace: number }) => grace > 60_000,
      defaults: { startTimeoutMs: 30_000, everyMs: 1000 },
    },
    nic: { summary: 'A card', options: options({ interface: text('Which') }), operations: 'none' },
  },
  arbiters: { store: { options: options({ address: text('Where it listens') }), minRenewMs: 1000 }, witness: null },
  fences: { power: { options: options({ outlet: integer('Which outlet', { min: 1, max: 8 }) }) }, bare: null },
  settings: { cloud: options({ region: text('Where') }), other: null },
};
