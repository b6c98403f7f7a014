// What all profiles share: steps of a fixed rate, slices of time, thresholds and the summary.
import exec from 'k6/execution';

import { runJob, sendRequest, tryOut } from './mix.js';

export const TARGETS = JSON.parse(open('./targets.json'));

const MAX_VUS = Number(__ENV.MAX_VUS || 1000);
// 0 sends no jobs.
const JOBS_PER_S = Number(__ENV.JOBS_PER_S || 1);
const SHOWN_STATUSES = [0, 200, 202, 400, 401, 403, 429, 500, 502, 503, 504];
// A threshold that is always met makes k6 keep a metric apart for the tag that it names.
const KEPT = { latency: 'max>=0', errors: 'rate>=0', statuses: 'count>=0' };

// A number of an environment variable, or a usual one.
export function number(name, usual) {
  const value = Number(__ENV[name] || usual);
  if (!(value > 0)) {
    throw new Error(`${name} must be a number above 0, not '${__ENV[name]}'`);
  }
  return value;
}

// A profile of `steps` ({ name, rate, seconds }) one after the other; requests arrive at their
// time, however slow the earlier ones are. `judged`: the targets are thresholds of k6.
export function makeProfile(name, given, sliceSeconds, judged) {
  if (!__ENV.API_KEY) {
    throw new Error('Set API_KEY to a key of the gateway, and BASE_URL to its address.');
  }
  let seconds = 0;
  const steps = given.map((step) => {
    seconds += step.seconds;
    return { ...step, start: seconds - step.seconds };
  });
  const plan = { name, seconds, slice_s: sliceSeconds, steps };
  const options = {
    scenarios: scenarios(plan),
    thresholds: thresholds(plan, judged),
    summaryTrendStats: ['count', 'avg', 'med', 'p(95)', 'p(99)', 'max'],
    userAgent: 'valuecanvas-load-test',
    setupTimeout: '90s',
  };
  const setup = () => tryOut(JOBS_PER_S > 0);
  return { plan, options, setup, summary: summarize(plan), run: () => run(plan) };
}

// Requests belong to the step and the slice of time in which they begin.
function run(plan) {
  const second = (Date.now() - exec.scenario.startTime) / 1000;
  const current = plan.steps.filter((step) => step.start <= second).pop();
  const tags = { slice: String(Math.floor(second / plan.slice_s)), step: current.name };
  return exec.scenario.name === 'jobs' ? runJob(tags) : sendRequest(tags);
}

function scenarios({ steps, seconds }) {
  const most = Math.max(...steps.map((step) => step.rate));
  const stages = steps.flatMap(({ rate, seconds: lasts }) => [
    { target: rate, duration: '0s' },
    { target: rate, duration: `${lasts}s` },
  ]);
  const requests = {
    executor: 'ramping-arrival-rate',
    startRate: steps[0].rate,
    stages,
    preAllocatedVUs: Math.ceil(Math.min(MAX_VUS / 2, 2 * most)),
    maxVUs: MAX_VUS,
    gracefulStop: '35s',
  };
  const jobs = {
    executor: 'constant-arrival-rate',
    rate: JOBS_PER_S,
    duration: `${seconds}s`,
    preAllocatedVUs: 5,
    maxVUs: 100,
    gracefulStop: '65s',
  };
  return JOBS_PER_S > 0 ? { requests, jobs } : { requests };
}

function thresholds(plan, judged) {
  const made = {};
  const keep = (metric, tag) => (made[`${metric}{${tag}}`] = [KEPT[metric]]);
  for (let slice = 0; slice * plan.slice_s < plan.seconds; slice += 1) {
    keep('latency', `slice:${slice}`);
    keep('errors', `slice:${slice}`);
  }
  for (const { name } of plan.steps) {
    ['latency', 'errors'].forEach((metric) => keep(metric, `step:${name}`));
  }
  SHOWN_STATUSES.forEach((status) => keep('statuses', `status:${status}`));
  ['hit', 'miss', 'stream', 'prompt', 'embedding'].forEach((kind) => keep('latency', `kind:${kind}`));
  if (judged) {
    made.latency = [`p(95)<${TARGETS.p95_s * 1000}`, `p(99)<${TARGETS.p99_s * 1000}`];
    made.errors = [`rate<${TARGETS.error_percent / 100}`];
    made.hits = [`rate>${TARGETS.cache_hit_percent / 100}`];
    made.cost = [`avg<${TARGETS.cost_usd}`];
  }
  return made;
}

// k6's summary as JSON in the file SUMMARY, or the most important figures on the screen.
function summarize(plan) {
  return (data) => {
    if (__ENV.SUMMARY) {
      const { metrics, root_group: checks } = data;
      return { [__ENV.SUMMARY]: JSON.stringify({ plan, metrics, checks }) };
    }
    return { stdout: describe(plan, data.metrics) };
  };
}

function describe(plan, metrics) {
  const { count, 'p(95)': p95, 'p(99)': p99 } = metrics.latency.values;
  const percent = (name) => (100 * ((metrics[name] || {}).values || { rate: 0 }).rate).toFixed(1);
  const usd = metrics.cost ? metrics.cost.values.avg.toFixed(6) : '0';
  const lines = [
    `p95 latency       ${(p95 / 1000).toFixed(2)} s, target < ${TARGETS.p95_s} s`,
    `p99 latency       ${(p99 / 1000).toFixed(2)} s, target < ${TARGETS.p99_s} s`,
    `error rate        ${percent('errors')} %, target < ${TARGETS.error_percent} %`,
    `answers a second  ${(count / plan.seconds).toFixed(1)}, target >= ${TARGETS.requests_per_s}`,
    `cache hit rate    ${percent('hits')} %, target > ${TARGETS.cache_hit_percent} %`,
    `cost a request    $${usd}, target < $${TARGETS.cost_usd}`,
  ];
  for (const { name, rate } of plan.steps) {
    const values = metrics[`latency{step:${name}}`].values;
    const failed = (100 * metrics[`errors{step:${name}}`].values.rate).toFixed(1);
    lines.push(`step ${name}: ${rate}/s, p95 ${(values['p(95)'] / 1000).toFixed(2)} s, errors ${failed} %`);
  }
  return `\n${lines.join('\n')}\n`;
}
