// Options that several agents of this plugin share.
import { text } from 'understudy/plugin';

/** Group 1: the account. */
export const ROLE_ARN = /^arn:aws[a-z-]*:iam::(\d{12}):role\/.+$/;

export const eniOption = text('The node’s ENI, set per node with `on:`; default: found by instance metadata')
  .regex(/^eni-/, 'an ENI id begins with eni-')
  .optional();
export const assumeRoleOption = text('Role to assume for every call: a shared VPC’s owner gives one')
  .regex(ROLE_ARN, 'a role looks like arn:aws:iam::111122223333:role/NAME')
  .optional();
