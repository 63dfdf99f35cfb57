// What the client writes: each sector holds the number of its write, over and over. A sector that is not of one write was torn
// where no disk tears.

/** A disk writes so much whole. */
export const SECTOR = 512;
/** Of a sector that is not of one write. */
export const TORN = -1;

export const stampAt = (bytes: Buffer, at: number): number => {
  const stamp = bytes.readUInt32LE(at);
  return bytes.readUInt32LE(at + SECTOR - 4) === stamp && bytes.readUInt32LE(at + SECTOR / 2) === stamp ? stamp : TORN;
};

export const stampsOf = (bytes: Buffer): Float64Array =>
  Float64Array.from({ length: bytes.length / SECTOR }, (_, sector) => stampAt(bytes, sector * SECTOR));

/** So many sectors of one stamp. */
export const stamped = (stamp: number, sectors: number): Buffer => {
  const words = new Uint32Array((sectors * SECTOR) / 4).fill(stamp);
  return Buffer.from(words.buffer);
};
