// The clock of unit tests; it lives in the test kit so that authors of plugins have the same one.
export { FakeClock } from '../../core/plugin/testkit/fake-clock.js';
