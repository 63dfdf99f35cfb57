// The production metadata store, with an eye on every superblock that is asked for and on every one that is durable.
import type { MetadataStore, SuperblockState } from '../../../plugins/disk-mirror/metadata/contract.js';

export interface SuperblockWatcher {
  asked(state: SuperblockState): void;
  durable(state: SuperblockState): void;
}

export const watchedStore = (store: MetadataStore, watcher: SuperblockWatcher): MetadataStore => ({
  maxExtents: store.maxExtents,
  writeSuperblock: (state, done) => {
    watcher.asked(state);
    store.writeSuperblock(state, (error) => {
      if (error === null) watcher.durable(state);
      done(error);
    });
  },
  activate: (extents, mayEvict, done) => store.activate(extents, mayEvict, done),
  isActive: (extent) => store.isActive(extent),
  checkpoint: (done) => store.checkpoint(done),
  close: () => store.close(),
});
