// Durations and sizes as the config file writes them: one number, the largest unit that is whole. Pure.

const DURATION_UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1000, 's'],
] as const;
const SIZE_UNITS = [
  [1024 ** 4, 'TiB'],
  [1024 ** 3, 'GiB'],
  [1024 ** 2, 'MiB'],
  [1024, 'KiB'],
] as const;

const written = (amount: number, units: readonly (readonly [number, string])[], smallest: string): string => {
  const unit = amount === 0 ? undefined : units.find(([factor]) => amount % factor === 0);
  return unit === undefined ? `${amount}${smallest}` : `${amount / unit[0]}${unit[1]}`;
};

/** 90000 is `90s`, 250 is `250ms`. */
export const durationText = (ms: number): string => written(ms, DURATION_UNITS, 'ms');
/** 4194304 is `4MiB`. */
export const sizeText = (bytes: number): string => written(bytes, SIZE_UNITS, 'B');
