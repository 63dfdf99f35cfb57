// How a config speaks of secrets: by a reference to a file, never by themselves. Pure, and loads nothing.

/** `file:` and an absolute path. */
export const SECRET_REFERENCE = /^file:(\/|[A-Za-z]:[\\/])./;

const SECRET_NAME = /(^pass|passw(or)?d|passphrase|secret|token|apikey|community)$/;

/** Whether a member of that name holds a secret, with or without a prefix and separators: `snmp_auth_passwd`, `dbPassword`. */
export const isSecretName = (name: string): boolean => SECRET_NAME.test(name.replaceAll(/[^A-Za-z]/g, '').toLowerCase());
