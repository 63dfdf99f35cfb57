// What plugins are handed is theirs to read: one that changed it would change it for the planner and for the next call too. Pure.

/** The same value; plain objects and lists in it are frozen at every depth. Instances of classes stay as they are. */
export const frozenDeep = <T>(value: T, seen = new Set<unknown>()): T => {
  if (typeof value !== 'object' || value === null || seen.has(value)) return value;
  const plain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null;
  if (!plain) return value;
  seen.add(value);
  for (const member of Object.values(value)) frozenDeep(member, seen);
  return Object.freeze(value);
};
