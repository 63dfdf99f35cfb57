// Which way of attaching a word of the config means.
import type { Attachment, AttachTools } from './attachment.js';
import { type KernelAttach, kernelNbd } from './kernel-nbd.js';
import { nbdfuse } from './nbdfuse.js';
import { socketOnly } from './socket-only.js';

export const attachmentOf = (way: 'nbd' | 'nbdfuse' | 'none', tools: AttachTools, kernel: KernelAttach): Attachment =>
  way === 'nbd' ? kernelNbd(kernel) : way === 'nbdfuse' ? nbdfuse(tools) : socketOnly;
