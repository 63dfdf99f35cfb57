// Where an understanding with the peer stands. Words only.

/**
 * down · waiting: connected, what was begun has to end first · hello: said ours · deciding: have both, the epoch becomes durable ·
 * agreeing: told ours, wait for the peer's decision · bitmap: both agree to copy · syncing · mirroring · split · refused.
 */
export type SessionState =
  | 'down'
  | 'waiting'
  | 'hello'
  | 'deciding'
  | 'agreeing'
  | 'bitmap'
  | 'syncing'
  | 'mirroring'
  | 'split'
  | 'refused';

/** Connected, and not yet of one mind. */
export const isUndecided = (state: SessionState): boolean => state === 'waiting' || state === 'hello' || state === 'deciding';
