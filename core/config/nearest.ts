// Did you mean: the nearest of the words that are known, by edit distance. Pure; small on purpose.

/** Edit distance with swaps of neighbours counted as one step (optimal string alignment), case ignored. */
export const editDistance = (one: string, other: string): number => {
  const a = one.toLowerCase();
  const b = other.toLowerCase();
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(previous[column - 1]! + (same ? 0 : 1), previous[column]! + 1, current[column - 1]! + 1);
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) cost = Math.min(cost, before[column - 2]! + 1);
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length]!;
};

/** The known word nearest to `word`, or undefined when none is near: at most one step in three letters (one in two), and at most three. */
export const nearest = (word: string, known: Iterable<string>): string | undefined => {
  // A word longer than any key is no slip of the keyboard, and the distance costs its length squared.
  if (word.length > 64) return undefined;
  const limit = word.length < 2 ? 0 : Math.min(3, Math.max(1, Math.floor(word.length / 3)));
  let best: { readonly word: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(word, candidate);
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { word: candidate, distance };
  }
  return best?.word;
};

/** `did you mean "x"?`, or undefined. */
export const didYouMean = (word: string, known: Iterable<string>): string | undefined => {
  const found = nearest(word, known);
  return found === undefined ? undefined : `did you mean "${found}"?`;
};
