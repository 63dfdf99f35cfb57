// The engine's answer as a promise: null resolves, words reject.
import { UnderstudyError } from 'understudy/plugin';

export const answered = (ask: (answer: (refused: string | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => ask((refused) => (refused === null ? resolve() : reject(new UnderstudyError('REFUSED', refused)))));
