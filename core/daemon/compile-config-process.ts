#!/usr/bin/env node
// Parses the config once and keeps the result for the guard and the supervisor, then ends: the parser's libraries are a
// process's worth of memory that neither of them needs again.
import 'reflect-metadata';
import module from 'node:module';

module.enableCompileCache?.();
const [{ compileGuardConfig }, { parseDaemonOptions, pathsOf }] = await Promise.all([import('./guard-config.js'), import('./options.js')]);
const options = parseDaemonOptions(process.argv.slice(2));
await compileGuardConfig(options, pathsOf(options), process.env);
