// Keeps real time and real chance away from simulated code: while an event runs, and while its promises settle, `Date`,
// `Math.random` and the real timers throw and are told. Everybody else in the process keeps them.

export interface Forbidden {
  /** True from the beginning of an event until its promises have settled. */
  inside: boolean;
  readonly setImmediate: typeof globalThis.setImmediate;
  end(): void;
}

let active = false;

/** Until `end`. One world at a time. */
export const forbidRealTime = (touched: (what: string) => void): Forbidden => {
  if (active) throw new Error('another simulated world runs in this process: one at a time');
  active = true;
  const state: Forbidden = {
    inside: false,
    setImmediate: globalThis.setImmediate,
    end: () => {
      active = false;
      for (const { holder, name, original } of kept) holder[name] = original;
    },
  };
  const places: readonly (readonly [object, string, string])[] = [
    [globalThis, 'setTimeout', 'setTimeout'],
    [globalThis, 'setInterval', 'setInterval'],
    [globalThis, 'setImmediate', 'setImmediate'],
    [globalThis, 'Date', 'Date'],
    [Math, 'random', 'Math.random'],
    [performance, 'now', 'performance.now'],
    [process, 'hrtime', 'process.hrtime'],
    [process, 'uptime', 'process.uptime'],
  ];
  const kept = places.map(([place, name, words]) => {
    const holder = place as Record<string, unknown>;
    const original = holder[name] as object;
    const refuse = () => {
      if (!state.inside) return;
      touched(words);
      throw new Error(`${words} is not there in a simulated world: time and chance come through the injected interfaces`);
    };
    holder[name] = new Proxy(original, {
      apply: (target, self, args) => (refuse(), Reflect.apply(target as (...all: unknown[]) => unknown, self, args)),
      construct: (target, args) => (refuse(), Reflect.construct(target as new (...all: unknown[]) => object, args)),
      get: (target, key) => {
        if (key === 'now' || key === 'bigint') refuse();
        return Reflect.get(target, key) as unknown;
      },
    });
    return { holder, name, original };
  });
  return state;
};
