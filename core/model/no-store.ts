// Two nodes without a store (SAFETY a.10): the name of the mode in the config, and in words what it does not promise. Data only.

/** The name that stands for no store. No plugin may own it: the guard knows it by itself. */
export const NO_STORE = 'none';

export const withoutStore = ({ arbiter }: { readonly arbiter: { readonly use: string } }): boolean => arbiter.use === NO_STORE;

/** What is lost with the store, for `check` and `status`. */
export const NO_STORE_WORDS = [
  'No store: one node starts only with the other’s consent, or when the other is proven down (a fence that has seen it off, or a person).',
  'Not promised: a takeover while the fence cannot be reached (the group stays where it is, or stays down); a start while the other node is not heard after a boot; a fast takeover; that an order given on one side is known on the other while they cannot talk.',
] as const;
