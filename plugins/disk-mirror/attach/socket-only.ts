// `attach: none`: the application speaks NBD itself (QEMU, a database of its own); the link leads to the socket.
import { existsSync } from 'node:fs';
import type { Attachment } from './attachment.js';
import { leadNowhere, leadTo, readDeviceLink } from './device-link.js';

export const socketOnly: Attachment = {
  attach: async ({ link, socket }) => {
    leadTo(link, socket);
    return socket;
  },
  detach: async ({ link }) => leadNowhere(link),
  look: async ({ link, socket }) => {
    const leads = readDeviceLink(link);
    if (leads === null) return { state: 'detached' };
    if (leads !== socket) return { state: 'broken', because: `${link} leads to ${leads}` };
    return existsSync(socket) ? { state: 'attached', device: socket } : { state: 'broken', because: `nobody serves ${socket}` };
  },
};
