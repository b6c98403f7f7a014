// The scenarios by OpenAI's agents SDK for Node.
import {
  Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, run, setTracingDisabled, tool,
} from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";

import { HELLO, PICTURE, runScenarios, statusOf } from "./case.mjs";

// Else it sends what agents do to OpenAI.
setTracingDisabled(true);

const Verdict = z.object({ title: z.string(), score: z.int() });
const weather = tool({
  name: "weather",
  description: "Tell the temperature of a city.",
  parameters: z.object({ city: z.string() }),
  execute: async () => "21 degrees",
});

function agentOf(given, { role = "echo", Kind = OpenAIChatCompletionsModel, headers, ...more } = {}) {
  const client = new OpenAI({
    baseURL: given.base_url, apiKey: given.key, defaultHeaders: headers,
  });
  return new Agent({ name: "tester", model: new Kind(client, given.models[role]), ...more });
}

async function text(given, { asked = HELLO, ...options } = {}) {
  return (await run(agentOf(given, options), asked)).finalOutput;
}

async function pieces(given, { role, most = 1000 } = {}) {
  const leave = new AbortController();
  const asked = { stream: true, signal: leave.signal };
  const found = [];
  try {
    for await (const event of await run(agentOf(given, { role }), HELLO, asked)) {
      if (event.data?.type === "output_text_delta") found.push(event.data.delta);
      if (found.length === most) leave.abort();
    }
  } catch (error) {
    if (!leave.signal.aborted) throw error;
  }
  return found;
}

const body = (providerData) => ({ modelSettings: { providerData } });
const picture = [{ type: "input_text", text: HELLO }, { type: "input_image", image: PICTURE }];
await runScenarios({
  chat: text,
  stream: pieces,
  tools: (given) => text(given, { role: "tools", asked: "How warm?", tools: [weather] }),
  structured: (given) => text(given, { role: "tools", outputType: Verdict }),
  responses: (given) => text(given, { Kind: OpenAIResponsesModel }),
  "wrong key": (given) => statusOf(() => text(given)),
  busy: (given) => text(given, { role: "busy" }),
  quota: async (given) => [
    await text(given), await statusOf(() => text(given, body({ seed: 2 }))),
  ],
  vision: (given) => text(given, { asked: [{ role: "user", content: picture }] }),
  user: (given) => text(given, body({ user: "person-1" })),
  extra: (given) => text(given, { headers: given.header }),
  prompt: (given) => text(given, { asked: [], ...body({ prompt: given.stored }) }),
  cache: async (given) => {
    const same = { modelSettings: { temperature: 0, providerData: { seed: 7 } } };
    return [await text(given, same), await text(given, same)];
  },
  abort: async (given) => (await pieces(given, { role: "slow", most: 3 })).length,
});
