// The public door `understudy`: the pure parts, for tools that plan, check or read on their own.
export type * from './model/desired.js';
export type * from './model/event.js';
export type * from './model/ids.js';
export type * from './model/lease.js';
export type * from './model/observed.js';
export type * from './model/plan.js';
export type * from './model/result.js';
export type * from './model/timing.js';
