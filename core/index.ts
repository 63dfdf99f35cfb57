// The public door `understudy`: the pure parts, for tools that plan, check or read on their own.
export type * from './model/desired.js';
export type * from './model/event.js';
export type * from './model/ids.js';
export type * from './model/lease.js';
export type * from './model/observed.js';
export type * from './model/plan.js';
export type * from './model/result.js';
export type * from './model/timing.js';
export { explain, type Timeline, type TimelineStep } from './planner/explain.js';
export { assertPlan } from './planner/invariants.js';
export { plan } from './planner/plan.js';
export { renderTimeline } from './planner/render-timeline.js';
