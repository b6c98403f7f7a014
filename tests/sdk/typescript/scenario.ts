// What scenario.py does too, with the generated TypeScript client.
// Environment: BASE_URL, API_KEY, MODEL, PROMPT, FLAG. Prints what it saw.
import {
  type ChatRequest, Configuration, ErrorBodyFromJSON, FlagsApi, GatewayApi, JobsApi,
  OpenAICompatibleApi, PromptsApi, ResponseError, UsageApi,
} from "@valuecanvas/client";

const { BASE_URL: basePath, API_KEY = "", MODEL: model, PROMPT = "", FLAG = "" } = process.env;
const client = (accessToken: string) => new Configuration({ basePath, accessToken });
const api = client(API_KEY);

function ask(text: string, more: Partial<ChatRequest> = {}): ChatRequest {
  return { model, messages: [{ role: "user", content: text }], max_tokens: 20, ...more };
}

// The data of each event of a streamed answer.
async function* events(chatRequest: ChatRequest): AsyncGenerator<string> {
  const { raw } = await new OpenAICompatibleApi(api).createChatCompletionRaw({ chatRequest });
  let rest = "";
  for await (const piece of raw.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6).trim();
  }
}

async function stream() {
  const data: string[] = [];
  for await (const one of events(ask("Name two colours.", { stream: true }))) data.push(one);
  const last = data.pop();
  const choices = data.flatMap((one) => JSON.parse(one).choices);
  const content = choices.map((one) => one.delta.content ?? "").join("");
  return { content, several: data.length > 2, last };
}

async function job() {
  const jobs = new JobsApi(api);
  const newJob = { type: "completion", body: ask("Name a fish.") };
  const made = await jobs.submitJob({ newJob, idempotencyKey: `typescript-${Date.now()}` });
  let now = made;
  while (now.state === "queued" || now.state === "running") {
    await new Promise((resolve) => setTimeout(resolve, 100));
    now = await jobs.getJob({ jobId: made.id });
  }
  const result = await jobs.getJobResult({ jobId: made.id });
  return { first: made.state, last: now.state, content: result["choices"][0].message.content };
}

async function refusal(key: string, chatRequest: ChatRequest) {
  try {
    await new OpenAICompatibleApi(client(key)).createChatCompletion({ chatRequest });
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    const told = ErrorBodyFromJSON(await error.response.json()).error;
    return { status: error.response.status, code: told.code, param: told.param };
  }
  return {};
}

const chatRequest = ask("Name a colour.");
const whole = await new OpenAICompatibleApi(api).createChatCompletion({ chatRequest });
const completeRequest = { model, prompt: "Name a bird.", max_tokens: 20 };
const short = await new GatewayApi(api).completePrompt({ completeRequest });
const prompts = new PromptsApi(api);
const ofrepRequest = { context: { targetingKey: "ann" } };
const flag = await new FlagsApi(api).evaluateFlag({ key: FLAG, ofrepRequest });

console.log(
  JSON.stringify({
    chat: {
      content: whole.choices[0].message.content,
      finish: whole.choices[0].finish_reason,
      tokens: whole.usage?.total_tokens,
    },
    stream: await stream(),
    complete: { content: short.content, provider: short.provider },
    job: await job(),
    prompts: (await prompts.listPrompts({ limit: 200 })).data.map((one) => one.key),
    prompt: (await prompts.fetchPrompt({ key: PROMPT })).template,
    flag: { value: flag.value, reason: flag.reason },
    usage: (await new UsageApi(api).retrieveOwnUsage()).user_id,
    "unknown key": await refusal("vc-wrong", ask("Hello.")),
    "no messages": await refusal(API_KEY, { model }),
  }),
);
