// A plugin in one file, no build: copy it to /etc/understudy/plugins, or name it under `plugins:` in the config.
// Node strips the types, so no enum, decorator or parameter property may be used in it.
//
//   web: { use: http-service, start: [/opt/web/start], stop: [/opt/web/stop], url: "http://127.0.0.1:8080/health", every: 2s }
import { argv, defineAgent, definePlugin, integer, options, text } from 'understudy/plugin';

/** A service that is started and stopped by commands, and asked by HTTP whether it does its job. */
const httpService = defineAgent({
  summary: 'A service run by commands and watched by an HTTP request.',
  options: options({
    start: argv('Starts the service and returns.'),
    stop: argv('Stops it and returns when it has stopped; must succeed when it is not running.'),
    url: text('Asked by every monitor.'),
    status: integer('The HTTP status of a healthy service.', { min: 100, max: 599 }).default(200),
  }),
  agent: {
    async monitor({ options: wanted, signal }) {
      try {
        // A connection of its own: one kept open would answer for a service that takes no new ones.
        const { status, body } = await fetch(wanted.url, { signal, redirect: 'manual', headers: { connection: 'close' } });
        await body?.cancel();
        return status === wanted.status ? 'online' : { state: 'faulted', reason: `${wanted.url} answered ${status} instead of ${wanted.status}` };
      } catch (error) {
        // A refused connection is a fact: nothing listens. Everything else (a timeout, say) rises and counts as unknown.
        if (error instanceof Error && isRefused(error.cause)) return 'offline';
        throw error;
      }
    },
    async start({ options: wanted, run, signal, limitMs }) {
      const [file = '', ...args] = wanted.start;
      await run(file, args, { signal, timeoutMs: limitMs });
    },
    async stop({ options: wanted, run, signal, limitMs }) {
      const [file = '', ...args] = wanted.stop;
      await run(file, args, { signal, timeoutMs: limitMs });
    },
  },
});

const isRefused = (cause: unknown): boolean => cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';

export default definePlugin({
  name: 'http-service',
  api: 1,
  version: '1.0.0',
  agents: { 'http-service': httpService },
  hooks: {
    afterFailover: {
      order: 'post', // After hooks that still change the system.
      onFailure: 'ignore', // Telling people must never hold a failover back.
      limitMs: 5_000,
      async run({ group, from, to, log }) {
        log.info('the service moved', { group, from, to });
      },
    },
  },
});
