// The lease page of a group on a host, as whoever looks at it now finds it; null without one that can be believed.
import type { GroupId } from '../model/ids.js';
import { decodePage } from '../ownership/page-codec.js';
import type { LeasePage } from '../ownership/page.js';
import { leasePage } from '../system/paths.js';
import type { SimNode } from './sim-node.js';

export const pageOf = ({ disk, paths }: SimNode, group: GroupId): LeasePage | null => {
  const bytes = disk.peekBytes(leasePage(paths, group));
  return bytes === null ? null : decodePage(bytes);
};
