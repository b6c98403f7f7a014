// The mix of requests that every profile sends, and the checks of their answers.
//
// Environment: BASE_URL; API_KEY (several with commas between); MODEL; EMBEDDING_MODEL and
// PROMPT_KEY (with the variables businessDescription and industry), empty to leave out
// their requests; SPENT_API_KEY of a customer without quota.
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Rate, Trend } from 'k6/metrics';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8000';
const KEYS = (__ENV.API_KEY || '').split(',').filter(Boolean);
const SPENT_KEY = __ENV.SPENT_API_KEY;
const MODEL = __ENV.MODEL || 'demo';
const EMBEDDING_MODEL = __ENV.EMBEDDING_MODEL ?? 'demo-embedding';
const PROMPT_KEY = __ENV.PROMPT_KEY ?? 'canvas.generate';
// Distinguishes the unique requests of this run from those of an earlier one.
const RUN = __ENV.RUN || String(Date.now());
// Shorter than the time that k6 leaves to the last requests (gracefulStop).
const TIMEOUT = '30s';
const POPULAR = 6;
const JOB_ENDS = ['succeeded', 'failed', 'dead', 'cancelled'];
const JOB_WAIT_MS = 60000;

// From the request to the end of its answer; refusals and jobs are not in it.
export const latency = new Trend('latency', true);
// From the submission of a job to its end.
export const jobTime = new Trend('job_time', true);
// Requests whose answer was not the expected one, and those that were shed (503, 429).
export const errors = new Rate('errors');
export const hits = new Rate('hits');
export const cost = new Trend('cost');
// Calls of a model that were answered in full: each has one row in the ledger.
export const answered = new Counter('answered');
export const statuses = new Counter('statuses');

// Each kind's share of the requests in percent, and what it sends. Returns [response, problem].
const KINDS = {
  hit: [40, () => chat(popular())],
  miss: [27, () => chat(unique())],
  stream: [12, stream],
  prompt: [10, storedPrompt],
  embedding: [5, embedding],
  wrong_key: [3, () => refused('vc-wrong', 401, 'invalid_api_key')],
  quota: [3, () => refused(SPENT_KEY, 429, 'insufficient_quota')],
};
const NEEDED = { quota: SPENT_KEY, embedding: EMBEDDING_MODEL, prompt: PROMPT_KEY };
const KIND_NAMES = Object.keys(KINDS).filter((name) => !(name in NEEDED) || NEEDED[name]);
const TOTAL = KIND_NAMES.reduce((sum, name) => sum + KINDS[name][0], 0);

// Sends one request of a random kind; `tags` say which part of the run it belongs to.
export function sendRequest(tags) {
  const kind = pickKind();
  const began = Date.now();
  const [response, problem] = KINDS[kind][1]();
  note(kind, tags, response, problem);
  if (!problem && response.status === 200) {
    latency.add(Date.now() - began, { kind, ...tags });
    noteAnswer(response);
  }
}

// Asks once before the run; and a job, so that the worker has started. Throws an Error.
export function tryOut(withJobs) {
  const [response, problem] = chat(`Are you there? ${RUN}`);
  if (problem) {
    throw new Error(`${BASE_URL} does not serve: ${problem}. ${response.error || response.body}`);
  }
  answered.add(1);
  if (withJobs) {
    const job = submitJob(KEYS[0], `Are you there? Job ${RUN}`);
    if (job.status !== 202 || waitForJob(job.json('id'), KEYS[0]) !== 'succeeded') {
      throw new Error(`No job is done: is a worker running? JOBS_PER_S=0 sends none. ${job.body}`);
    }
    answered.add(1);
  }
}

// Submits one job, and waits for its end.
export function runJob({ slice }) {
  const key = pick(KEYS);
  const began = Date.now();
  const response = submitJob(key, unique());
  if (response.status !== 202) {
    note('job', { slice }, response, `job: status ${response.status}`);
    return;
  }
  const state = waitForJob(response.json('id'), key);
  note('job', { slice }, response, state === 'succeeded' ? '' : `job: ${state}`);
  if (state === 'succeeded') {
    jobTime.add(Date.now() - began);
    answered.add(1);
  }
}

function submitJob(key, content) {
  return post('/api/llm/jobs', key, { type: 'completion', body: chatBody(content) });
}

function waitForJob(id, key) {
  const until = Date.now() + JOB_WAIT_MS;
  let state = 'queued';
  while (!JOB_ENDS.includes(state) && Date.now() < until) {
    sleep(0.5);
    const headers = { Authorization: `Bearer ${key}` };
    const response = http.get(`${BASE_URL}/api/llm/jobs/${id}`, { headers, tags: { name: 'job' } });
    if (response.status === 200) {
      state = response.json('state');
    }
  }
  return state;
}

function note(kind, tags, response, problem) {
  errors.add(Boolean(problem), { kind, ...tags });
  statuses.add(1, { status: String(response.status) });
  check(null, { [problem || `${kind}: as expected`]: () => !problem });
}

function noteAnswer(response) {
  const cached = response.headers['X-Valuecanvas-Cache'];
  answered.add(1);
  hits.add(cached === 'hit' || cached === 'coalesced');
  const inStream = /: x-valuecanvas-cost-usd=([0-9.]+)/.exec(response.body);
  cost.add(Number(response.headers['X-Valuecanvas-Cost-Usd'] || (inStream ? inStream[1] : 0)));
}

function chat(content) {
  const response = post('/v1/chat/completions', pick(KEYS), chatBody(content));
  return [response, judge(response, 'chat', (body) => body.choices[0].message.content)];
}

// k6 reads a stream as one body: its events are counted afterwards.
function stream() {
  const response = post('/v1/chat/completions', pick(KEYS), { ...chatBody(unique()), stream: true });
  if (response.status !== 200) {
    return [response, `stream: status ${response.status}`];
  }
  const events = response.body.split('\n\n').filter((event) => event.includes('data: '));
  const whole = events.length > 3 && /^data: \[DONE\]$/m.test(events[events.length - 1]);
  return [response, whole ? '' : `stream: ends early, after ${events.length} events`];
}

function storedPrompt() {
  const business = Math.random() < 0.5 ? popular() : unique();
  const promptVariables = { businessDescription: business, industry: 'food' };
  const body = { promptKey: PROMPT_KEY, promptVariables, model: MODEL };
  const response = post('/api/llm/complete', pick(KEYS), body);
  return [response, judge(response, 'prompt', (answer) => answer.content)];
}

function embedding() {
  const response = post('/v1/embeddings', pick(KEYS), { model: EMBEDDING_MODEL, input: unique() });
  return [response, judge(response, 'embedding', (body) => body.data[0].embedding.length)];
}

// A refusal that is right has its status and OpenAI's error body with the code.
function refused(key, status, code) {
  const response = post('/v1/chat/completions', key, chatBody(popular()));
  const found = response.status === status && response.json('error.code');
  return [response, found === code ? '' : `refusal: status ${response.status}, code ${found}`];
}

function judge(response, name, read) {
  if (response.status !== 200) {
    return `${name}: status ${response.status}`;
  }
  return read(response.json()) ? '' : `${name}: empty answer`;
}

function post(path, key, body) {
  const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' };
  const params = { headers, tags: { name: path }, timeout: TIMEOUT };
  return http.post(`${BASE_URL}${path}`, JSON.stringify(body), params);
}

function chatBody(content) {
  return { model: MODEL, messages: [{ role: 'user', content }], max_tokens: 256 };
}

// A few prompts that many ask; the first ones more often.
function popular() {
  const number = Math.floor(POPULAR * Math.random() ** 2);
  return `Which pains do small bakeries have, and which gains? Question ${number}.`;
}

function unique() {
  const { name, iterationInTest } = exec.scenario;
  return `Which pains do small bakeries have? Shop ${RUN}-${name}-${iterationInTest}.`;
}

function pick(values) {
  return values[Math.floor(Math.random() * values.length)];
}

function pickKind() {
  let left = Math.random() * TOTAL;
  return KIND_NAMES.find((name) => (left -= KINDS[name][0]) < 0) || KIND_NAMES[0];
}
