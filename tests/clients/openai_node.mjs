// The scenarios by openai-node.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import { HELLO, PICTURE, runScenarios, statusOf } from "./case.mjs";

const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};
const WEATHER = { type: "function", function: { name: "weather", parameters } };
const Verdict = z.object({ title: z.string(), score: z.int() });
const asks = (content) => [{ role: "user", content }];

const clientOf = (given) => new OpenAI({ baseURL: given.base_url, apiKey: given.key });

async function chat(given, { model = "echo", ...fields } = {}, options = {}) {
  const body = { model: given.models[model], messages: asks(HELLO), ...fields };
  return (await clientOf(given).chat.completions.create(body, options)).choices[0].message;
}

const text = async (...given) => (await chat(...given)).content;

async function stream(given) {
  const body = { model: given.models.echo, messages: asks(HELLO), stream: true };
  const pieces = [];
  for await (const event of await clientOf(given).chat.completions.create(body))
    if (event.choices[0]?.delta.content) pieces.push(event.choices[0].delta.content);
  return pieces;
}

async function tools(given) {
  const asked = asks("How warm is it?");
  const more = { model: "tools", tools: [WEATHER] };
  const message = await chat(given, { ...more, messages: asked });
  const [call] = message.tool_calls;
  const result = { role: "tool", tool_call_id: call.id, content: "21 degrees" };
  return text(given, { ...more, messages: [...asked, message, result] });
}

async function structured(given) {
  const answer = await clientOf(given).chat.completions.parse({
    model: given.models.tools,
    messages: asks("Judge this."),
    response_format: zodResponseFormat(Verdict, "verdict"),
  });
  return answer.choices[0].message.parsed;
}

async function embeddings(given) {
  const body = { model: given.models.embedding, input: ["one", "two"] };
  const found = await clientOf(given).embeddings.create(body);
  return found.data.map((one) => one.embedding.length);
}

async function responses(given) {
  const body = { model: given.models.echo, input: HELLO };
  return (await clientOf(given).responses.create(body)).output_text;
}

async function abort(given) {
  const body = { model: given.models.slow, messages: asks(HELLO), stream: true };
  const events = await clientOf(given).chat.completions.create(body);
  let read = 0;
  for await (const _event of events) if (++read === 3) break;
  return read;
}

const picture = { type: "image_url", image_url: { url: PICTURE } };
await runScenarios({
  chat: text,
  stream,
  tools,
  structured,
  embeddings,
  responses,
  "wrong key": (given) => statusOf(() => text(given)),
  busy: (given) => text(given, { model: "busy" }),
  quota: async (given) => [await text(given), await statusOf(() => text(given, { seed: 2 }))],
  vision: (given) => text(given, { messages: asks([{ type: "text", text: HELLO }, picture]) }),
  user: (given) => text(given, { user: "person-1" }),
  extra: (given) => text(given, { metadata: { job: "night" } }, { headers: given.header }),
  prompt: (given) => text(given, { messages: [], prompt: given.stored }),
  cache: async (given) => {
    const same = { seed: 7, temperature: 0 };
    return [await text(given, same), await text(given, same)];
  },
  abort,
});
