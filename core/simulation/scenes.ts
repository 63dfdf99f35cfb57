// All scenes. A scene more, or another order, and every seed of theirs means something else.
import type { Scene } from './scene.js';
import { BEGINS } from './scenes-of-the-begin.js';
import { ENDS } from './scenes-of-the-end.js';

export const SCENES: readonly Scene[] = [...ENDS, ...BEGINS];
