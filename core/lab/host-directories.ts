// The files of a host's life. Power-on makes `<run>` with a fresh boot salt, which becomes part of the bootId (SAFETY a.4);
// power-off removes it. State and log are the host's disk: they outlive the power.
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { bootSalt } from '../system/paths.js';
import type { LabHostPlan } from './topology.js';

export const makeHostDirectories = ({ runDir, stateDir, logDir }: LabHostPlan): void => {
  rmSync(runDir, { recursive: true, force: true });
  for (const directory of [runDir, stateDir, logDir]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(bootSalt({ run: runDir, state: stateDir, log: logDir }), randomBytes(16).toString('hex'), { mode: 0o600 });
};
