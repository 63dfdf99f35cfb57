// The door to the bytes of the metadata. Writes are durable when they answer. Callbacks, as at the data's door; each call answers
// once, never before it returns; several may be under way at once. Who asks never tries again after an error.

export interface MetadataDevice {
  readonly sizeBytes: number;
  /** Fills `into` from `offset`; less than asked for is an error. Offset and length are multiples of 4096. */
  read(into: Uint8Array, offset: number, done: (error: Error | null) => void): void;
  /** Writes all of `bytes`, durable when it answers. They are copied, or stay as they are until then. Multiples of 4096. */
  write(bytes: Uint8Array, offset: number, done: (error: Error | null) => void): void;
  /** Waits for what is under way. A second call answers as the first. A store that is closed closes its device. */
  close(): Promise<void>;
}

export const readBlocks = (device: MetadataDevice, into: Uint8Array, offset: number): Promise<void> =>
  new Promise((resolve, reject) => device.read(into, offset, (error) => (error === null ? resolve() : reject(error))));

export const writeBlocks = (device: MetadataDevice, bytes: Uint8Array, offset: number): Promise<void> =>
  new Promise((resolve, reject) => device.write(bytes, offset, (error) => (error === null ? resolve() : reject(error))));
