// Soak: a moderate rate for half an hour, to find what grows. DURATION is in seconds.
import { makeProfile, number } from './plan.js';

const seconds = number('DURATION', 1800);
const steps = [{ name: 'steady', rate: number('RATE', 110), seconds }];
const profile = makeProfile('soak', steps, Math.ceil(seconds / 60), true);

export const { options, setup } = profile;
export const handleSummary = profile.summary;
export default profile.run;
