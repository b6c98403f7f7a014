// Stress: steps of DURATION seconds, each 1.4 times as fast, until and beyond what breaks;
// then 45 s at the first rate to see how it recovers.
import { makeProfile, number } from './plan.js';

const AFTER = 45;
const STEPS = number('STEPS', 9);
const seconds = number('DURATION', 20);
const first = number('RATE', 80);
const steps = [];
for (let step = 0; step < STEPS; step += 1) {
  const rate = Math.round(first * 1.4 ** step);
  steps.push({ name: `step_${step + 1}`, rate, seconds });
}
steps.push({ name: 'after', rate: first, seconds: AFTER });
const profile = makeProfile('stress', steps, 2, false);

export const { options, setup } = profile;
export const handleSummary = profile.summary;
export default profile.run;
