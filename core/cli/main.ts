// Commands of the CLI; the entry that bin.ts hands over to.
export {};
