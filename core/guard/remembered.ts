// What a text of the store said, for as long as it stands there unchanged: polls read the same texts again and again, and
// each was parsed each time. One text a key; what it said is shared and never changed.

/** `parse` with a memory of one text for each key. */
export const remembered = <Said>(parse: (text: string | null) => Said): ((key: string, text: string | null) => Said) => {
  const known = new Map<string, { readonly text: string | null; readonly said: Said }>();
  return (key, text) => {
    const before = known.get(key);
    if (before !== undefined && before.text === text) return before.said;
    const said = parse(text);
    known.set(key, { text, said });
    return said;
  };
};
