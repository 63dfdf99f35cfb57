// The emulator's own door, beside the API: faults on and off, the call log, the state. Local tool: no authentication.
import type { ServerResponse } from 'node:http';
import { z } from 'understudy/plugin';
import type { CallLog } from './calls.js';
import { FAULT, type Faults } from './faults.js';
import type { History } from './history.js';
import { replyJson } from './reply.js';

interface Parts {
  readonly faults: Faults;
  readonly calls: CallLog;
  readonly history: History;
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

/** GET calls, state, faults · POST fault {…} → {id} · POST clear {id?}. */
export const control = ({ faults, calls, history }: Parts, { method, path, body }: Asked, response: ServerResponse): void => {
  switch (`${method} ${path.slice('/_control/'.length)}`) {
    case 'GET calls':
      return replyJson(response, 200, calls.list);
    case 'GET state':
      return replyJson(response, 200, history.now);
    case 'GET faults':
      return replyJson(response, 200, faults.list);
    case 'POST fault':
      return withJson(body, FAULT, response, (fault) => replyJson(response, 200, { id: faults.add(fault) }));
    case 'POST clear':
      return withJson(body === '' ? '{}' : body, CLEAR, response, ({ id }) => {
        faults.clear(id);
        replyJson(response, 200, { faults: faults.list });
      });
    default:
      return replyJson(response, 404, {
        error: `no such control: ${method} ${path}`,
        controls: ['GET calls', 'GET state', 'GET faults', 'POST fault', 'POST clear'],
      });
  }
};

const CLEAR = z.strictObject({ id: z.int().optional() });

const withJson = <S extends z.ZodType>(body: string, schema: S, response: ServerResponse, use: (value: z.output<S>) => void): void => {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (thrown) {
    return replyJson(response, 400, { error: `not JSON: ${String(thrown)}` });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) return replyJson(response, 400, { error: z.prettifyError(parsed.error) });
  use(parsed.data);
};
