// Spike: ten times the rate for DURATION seconds, and 45 s more to see how it recovers.
import { makeProfile, number } from './plan.js';

const BEFORE = 30;
const AFTER = 45;
const seconds = number('DURATION', 30);
const rate = number('RATE', 50);
const steps = [
  { name: 'before', rate, seconds: BEFORE },
  { name: 'spike', rate: 10 * rate, seconds },
  { name: 'after', rate, seconds: AFTER },
];
const profile = makeProfile('spike', steps, 2, false);

export const { options, setup } = profile;
export const handleSummary = profile.summary;
export default profile.run;
