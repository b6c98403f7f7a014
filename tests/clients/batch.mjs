// Uploads a file, creates a batch, polls and downloads, with OpenAI's SDK as it is.
// Environment: BASE_URL, API_KEY, FOREIGN_KEY, INPUT (a path). Prints what it saw.
import fs from "node:fs";
import OpenAI from "openai";

const { BASE_URL: baseURL, API_KEY: apiKey, FOREIGN_KEY, INPUT } = process.env;
const client = new OpenAI({ apiKey, baseURL, maxRetries: 0 });
const stranger = new OpenAI({ apiKey: FOREIGN_KEY, baseURL, maxRetries: 0 });

async function statusOf(call) {
  try {
    await call;
    return 200;
  } catch (error) {
    return error.status;
  }
}

const file = await client.files.create({
  file: fs.createReadStream(INPUT),
  purpose: "batch",
  expires_after: { anchor: "created_at", seconds: 86400 },
});
let batch = await client.batches.create({
  input_file_id: file.id,
  endpoint: "/v1/chat/completions",
  completion_window: "24h",
  metadata: { from: "node" },
});
while (["validating", "in_progress", "finalizing"].includes(batch.status)) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  batch = await client.batches.retrieve(batch.id);
}
const output = await client.files.content(batch.output_file_id);
const files = [];
for await (const one of client.files.list({ limit: 1 })) files.push(one.id);
const batches = [];
for await (const one of client.batches.list({ limit: 1 })) batches.push(one.id);
const foreign = [
  await statusOf(stranger.files.retrieve(file.id)),
  await statusOf(stranger.files.content(batch.output_file_id)),
  await statusOf(stranger.batches.retrieve(batch.id)),
  await statusOf(stranger.batches.cancel(batch.id)),
  await statusOf(stranger.files.delete(file.id)),
];
const ended = await statusOf(client.batches.cancel(batch.id));
const deleted = await client.files.delete(file.id);
console.log(
  JSON.stringify({
    file, batch, files, batches, foreign, ended, deleted, output: await output.text(),
  }),
);
