// What is worth a hook about a resource: it changed, it failed, it was started again after that, its mirror parted or copied. Compares
// what a look found with what was known; remembers no more than that needs. Nothing here acts.
import type { GroupId, ResourceId } from '../model/ids.js';
import type { MirrorStatus } from '../model/mirror.js';
import { type MirrorMemory, mirrorNews, type MirrorNewsKind } from './mirror-news.js';

/** What happened to a resource that others act on (hooks, incidents). */
export type FactEvent = {
  /** `changed`: a look found it to be something else. `restarted`: it had failed, and was started again here. */
  readonly kind: 'fault' | 'unknown' | 'changed' | 'restarted' | MirrorNewsKind;
  readonly group: GroupId;
  readonly resource: ResourceId;
  readonly reason: string;
};

interface Seen {
  readonly state: string;
  readonly degraded: string | null;
  readonly role: string | null;
  readonly source: string;
  readonly reason: string;
  readonly mirror?: MirrorStatus;
}

export class ResourceNews {
  private readonly mirrors = new Map<string, MirrorMemory>();
  /** Under which epoch a resource failed that is not online again. */
  private readonly failed = new Map<string, number>();
  listener: (event: FactEvent) => void = () => undefined;

  /** After each look. The first one of a controller changes nothing: nothing was known. */
  looked(group: GroupId, resource: ResourceId, before: Seen, { state, degraded, role, reason, mirror }: Seen): void {
    const key = `${group}/${resource}`;
    if (state === 'online') this.failed.delete(key);
    if (before.source !== 'none' && (before.state !== state || before.degraded !== degraded || before.role !== role)) {
      const was = before.state === state ? '' : `${before.state} before, `;
      const why = degraded ?? reason;
      this.listener({ kind: 'changed', group, resource, reason: `${was}${state} now${why === '' ? '' : `: ${why}`}` });
    }
    if (mirror === undefined) return;
    const { memory, news } = mirrorNews(this.mirrors.get(key) ?? null, mirror);
    this.mirrors.set(key, memory);
    for (const event of news) this.listener({ group, resource, ...event });
  }

  faulted(group: GroupId, resource: ResourceId, reason: string, epoch: number): void {
    this.failed.set(`${group}/${resource}`, epoch);
    this.listener({ kind: 'fault', group, resource, reason });
  }

  unknown(group: GroupId, resource: ResourceId, reason: string): void {
    this.listener({ kind: 'unknown', group, resource, reason });
  }

  /** Under another epoch than that of its fault the group has moved or been stopped since: then this was no restart. */
  started(group: GroupId, resource: ResourceId, epoch: number): void {
    const key = `${group}/${resource}`;
    const failed = this.failed.get(key);
    this.failed.delete(key);
    if (failed === epoch) this.listener({ kind: 'restarted', group, resource, reason: 'it had failed and was started again' });
  }
}
