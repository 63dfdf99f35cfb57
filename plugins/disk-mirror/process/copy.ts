// Opens this node’s copy: its data, then its metadata. What is wrong is said in words that name the file and the next command;
// nothing is made here. Invariant: both are closed again when either cannot be used.
import { defaultMetadata } from './places.js';
import type { DiskMirrorOptions } from '../agent/definition.js';
import type { BlockFile } from '../io/block-file.js';
import { openBlockFile } from '../io/open-block-file.js';
import { attachMetadata } from '../metadata/attach.js';
import type { Attached, MetadataStore } from '../metadata/contract.js';
import { openFileDevice } from '../metadata/file-device.js';

export interface CopyOf {
  readonly cluster: string;
  readonly group: string;
  readonly resource: string;
  readonly node: string;
  readonly stateDir: string;
  readonly options: DiskMirrorOptions;
}

export interface Copy {
  readonly data: BlockFile;
  readonly store: MetadataStore;
  readonly attached: Attached;
  close(): Promise<void>;
}

/** Rejects with NOT_FOUND, REFUSED or METADATA. */
export const openCopy = async ({ cluster, group, resource, node, stateDir, options }: CopyOf): Promise<Copy> => {
  const data = await openBlockFile(options.backing, { direct: options.direct, sparse: options.sparse });
  const opened: (() => Promise<unknown>)[] = [() => data.close()];
  const close = async () => {
    for (const end of opened.reverse()) await end();
  };
  try {
    const path = options.metadata ?? defaultMetadata(stateDir, group, resource);
    const device = await openFileDevice(path);
    opened.push(() => device.close());
    const expected = { cluster, group, volume: resource, node, sizeBytes: data.sizeBytes };
    const { attached, store } = await attachMetadata(device, { name: path, expected });
    opened.push(() => store.close());
    return { data, store, attached, close };
  } catch (error) {
    await close();
    throw error;
  }
};
