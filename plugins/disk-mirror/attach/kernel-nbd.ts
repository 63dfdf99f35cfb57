// `attach: nbd` as the agent sees it: the mirror’s process has the device, here it is asked for and led to.
import type { Attachment } from './attachment.js';
import { leadNowhere, leadTo, readDeviceLink } from './device-link.js';

/** The volume's process, as far as a kernel device is concerned. */
export interface KernelAttach {
  attach(limitMs: number, signal: AbortSignal): Promise<string>;
  detach(limitMs: number, signal: AbortSignal): Promise<void>;
  /** The device, null = none. */
  device(signal: AbortSignal): Promise<string | null>;
}

export const kernelNbd = (volume: KernelAttach): Attachment => ({
  attach: async ({ link }, limitMs, signal) => {
    const device = await volume.attach(limitMs, signal);
    leadTo(link, device);
    return device;
  },
  detach: async ({ link }, limitMs, signal) => {
    leadNowhere(link);
    await volume.detach(limitMs, signal);
  },
  look: async ({ link }, signal) => {
    const [device, leads] = [await volume.device(signal), readDeviceLink(link)];
    if (device === null && leads === null) return { state: 'detached' };
    if (device === null) return { state: 'broken', because: `${leads} is no longer set up` };
    return leads === device
      ? { state: 'attached', device }
      : { state: 'broken', because: `${link} leads to ${leads ?? 'nothing'} instead of ${device}` };
  },
});
