// Basic: a fixed rate for two minutes. DURATION in seconds and RATE change it.
import { makeProfile, number } from './plan.js';

const seconds = number('DURATION', 120);
const steps = [{ name: 'steady', rate: number('RATE', 130), seconds }];
const profile = makeProfile('basic', steps, Math.ceil(seconds / 60), true);

export const { options, setup } = profile;
export const handleSummary = profile.summary;
export default profile.run;
