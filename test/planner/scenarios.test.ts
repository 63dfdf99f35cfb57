// Every text scenario prints what stands in it, and together they visit every row of the rule table.
// UPDATE_SCENARIOS=1 npx ava test/planner/scenarios.test.ts writes the outputs anew; read the difference as prose.
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import test from 'ava';
import { RULES } from '../../core/planner/rules.js';
import { parseScenario, renderScenario, runScenario } from '../support/scenario.js';

const files = globSync('test/scenarios/*.txt').sort();
const visited = new Set<string>();

for (const file of files) {
  test.serial(`scenario: ${basename(file, '.txt')}`, (t) => {
    const text = readFileSync(file, 'utf8');
    const { blocks, rules } = runScenario(parseScenario(text));
    for (const rule of rules) visited.add(rule);
    const now = renderScenario(blocks);
    if (process.env['UPDATE_SCENARIOS'] === '1') writeFileSync(file, now);
    t.is(now, process.env['UPDATE_SCENARIOS'] === '1' ? now : text);
  });
}

test.serial('there are scenarios, and each row of the table decides in one of them', (t) => {
  t.true(files.length >= 25);
  t.deepEqual(
    RULES.map(({ id }) => id).filter((id) => !visited.has(id)),
    [],
  );
});
