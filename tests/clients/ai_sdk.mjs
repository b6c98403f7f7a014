// The scenarios by the AI SDK with its provider for OpenAI.
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { HELLO, PICTURE, runScenarios, statusOf } from "./case.mjs";

const Verdict = z.object({ title: z.string(), score: z.int() });
const weather = tool({
  inputSchema: z.object({ city: z.string() }),
  execute: async () => "21 degrees",
});

// What the provider has no option for goes into the body by a `fetch` of one's own.
function providerOf(given, more) {
  const fetchMore = (url, init) =>
    fetch(url, { ...init, body: JSON.stringify({ ...JSON.parse(init.body), ...more }) });
  return createOpenAI({
    baseURL: given.base_url,
    apiKey: given.key,
    ...(more ? { fetch: fetchMore } : {}),
  });
}

const modelOf = (given, role = "echo", more) => providerOf(given, more).chat(given.models[role]);

async function text(given, { role, more, ...options } = {}) {
  const model = modelOf(given, role, more);
  return (await generateText({ model, prompt: HELLO, ...options })).text;
}

async function stream(given) {
  const pieces = [];
  for await (const piece of streamText({ model: modelOf(given), prompt: HELLO }).textStream)
    pieces.push(piece);
  return pieces;
}

async function structured(given) {
  const output = Output.object({ schema: Verdict });
  const asked = { model: modelOf(given, "tools"), prompt: "Judge this.", output };
  return (await generateText(asked)).output;
}

async function embeddings(given) {
  const model = providerOf(given).embedding(given.models.embedding);
  return (await embedMany({ model, values: ["one", "two"] })).embeddings.map((one) => one.length);
}

async function abort(given) {
  const leave = new AbortController();
  const asked = { model: modelOf(given, "slow"), prompt: HELLO, abortSignal: leave.signal };
  let read = 0;
  for await (const _piece of streamText(asked).textStream) if (++read === 3) leave.abort();
  return read;
}

const picture = [{ type: "text", text: HELLO }, { type: "image", image: PICTURE }];
await runScenarios({
  chat: text,
  stream,
  tools: (given) =>
    text(given, { role: "tools", prompt: "How warm?", tools: { weather }, stopWhen: stepCountIs(2) }),
  structured,
  embeddings,
  responses: async (given) =>
    (await generateText({ model: providerOf(given)(given.models.echo), prompt: HELLO })).text,
  "wrong key": (given) => statusOf(() => text(given)),
  busy: (given) => text(given, { role: "busy" }),
  quota: async (given) => [await text(given), await statusOf(() => text(given, { seed: 2 }))],
  vision: (given) =>
    text(given, { prompt: undefined, messages: [{ role: "user", content: picture }] }),
  user: (given) => text(given, { providerOptions: { openai: { user: "person-1" } } }),
  extra: (given) => text(given, { headers: given.header }),
  prompt: (given) => text(given, { more: { messages: [], prompt: given.stored } }),
  cache: async (given) => {
    const same = { seed: 7, temperature: 0 };
    return [await text(given, same), await text(given, same)];
  },
  abort,
});
