// One request of the EC2 Query API (and of STS), from the form body to the XML answer, with the faults it meets on the way.
// The order is the point: refused before any effect, lost only after it.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { reasonOf, type Clock } from 'understudy/plugin';
import { ACTIONS, type Action, type Outcome } from './actions.js';
import type { CallLog } from './calls.js';
import { ApiError, dryRun, missing, throttled, unauthorized } from './errors.js';
import type { Fault, Faults } from './faults.js';
import type { History } from './history.js';
import type { Principals } from './principals.js';
import { Query } from './query.js';
import { reply } from './reply.js';
import { refuseSkewed } from './signed-time.js';
import type { View } from './views.js';
import type { Vpc } from './vpc.js';
import { answerXml, errorXml, stsAnswerXml, stsErrorXml } from './xml.js';

export interface QueryApiParts {
  readonly history: History;
  readonly faults: Faults;
  readonly calls: CallLog;
  readonly principals: Principals;
  readonly clock: Clock;
  /** Makes it the state; resolves when packets follow. */
  readonly change: (next: Vpc) => Promise<void>;
  /** Null `longerMs`: it never comes to rest. */
  readonly underWay: (transition: NonNullable<Outcome['transitions']>[number], longerMs: number | null) => void;
  readonly stopping: AbortSignal;
}

const XML = 'text/xml;charset=UTF-8';

export class QueryApi {
  constructor(private readonly parts: QueryApiParts) {}

  async answer(request: IncomingMessage, body: string, response: ServerResponse): Promise<void> {
    const { calls, faults, principals, clock, stopping } = this.parts;
    const query = Query.parse(body);
    const principal = principals.of(request.headers.authorization);
    const met = faults.matching({ action: query.action, values: Object.values(query.all), principal });
    const ended = calls.begin({ action: query.action, parameters: query.all, userAgent: request.headers['user-agent'] ?? '', principal });
    const has = (kind: Fault['kind']) => met.find((fault) => fault.kind === kind);
    const hang = has('hang');
    const delayMs = met.reduce((sum, fault) => sum + (fault.kind === 'latency' ? (fault.ms ?? 0) : 0), 0);
    if (delayMs > 0) await clock.sleep(delayMs, stopping);
    if (has('reset')) return cut(response, ended, 'reset');
    if (hang && hang.applied !== true) return ended('hang');

    const requestId = randomUUID();
    const sts = STS[query.action];
    try {
      refuseBy(met, query.action);
      if (principal === null) throw missing('AWSAccessKeyId');
      // Wall time, as AWS has it: the clock that tests move is the one of delays.
      refuseSkewed(request.headers['x-amz-date'], Date.now());
      const xml = sts
        ? stsAnswerXml(query.action, requestId, sts(this.parts, query, principal))
        : answerXml(query.action, requestId, await this.run(query, has('stale'), has('stuck')));
      if (hang) return ended('hang');
      if (has('lost-answer')) return cut(response, ended, 'lost-answer');
      ended('ok');
      reply(response, 200, XML, xml, { 'x-amzn-requestid': requestId });
    } catch (thrown) {
      const error =
        thrown instanceof ApiError ? thrown : new ApiError('InternalError', `An internal error has occurred: ${reasonOf(thrown)}`);
      ended(error.code);
      reply(response, error.status, XML, (sts ? stsErrorXml : errorXml)(error, requestId), { 'x-amzn-requestid': requestId });
    }
  }

  private async run(query: Query, stale: Fault | undefined, stuck: Fault | undefined): Promise<View> {
    const { history, clock, change, underWay } = this.parts;
    const action: Action | undefined = ACTIONS[query.action];
    if (action === undefined) throw new ApiError('InvalidAction', `The action ${query.action} is not valid for this web service.`);
    if (query.flag('DryRun')) throw dryRun();
    if (action.kind === 'read') return action.run(history.seen(query.action, stale ?? {}, clock.nowMs()), query).answer;
    const { vpc, answer, transitions = [] } = action.run(history.now, query);
    await change(vpc);
    for (const transition of transitions) if (transition.to !== null) underWay(transition, stuck === undefined ? 0 : (stuck.ms ?? null));
    return answer;
  }
}

const cut = (response: ServerResponse, ended: (outcome: string) => void, outcome: string): void => {
  ended(outcome);
  response.socket?.resetAndDestroy();
};

const refuseBy = (met: readonly Fault[], action: string): void => {
  for (const { kind, code, message } of met) {
    if (kind === 'throttle') throw throttled();
    if (kind === 'deny') throw unauthorized(action);
    if (kind === 'error') throw new ApiError(code ?? 'InternalError', message ?? 'An internal error has occurred');
  }
};

const STS: Readonly<Record<string, (parts: QueryApiParts, query: Query, principal: string) => View>> = {
  AssumeRole: ({ principals }, query) => {
    const role = query.need('RoleArn');
    const session = query.need('RoleSessionName');
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = principals.issue(role);
    return {
      Credentials: { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken, Expiration: expiration },
      AssumedRoleUser: {
        AssumedRoleId: `AROAEMULATED:${session}`,
        Arn: `${role.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/${session}`,
      },
    };
  },
  GetCallerIdentity: ({ history }, _query, principal) => ({ Arn: principal, UserId: principal, Account: history.now.account }),
};
