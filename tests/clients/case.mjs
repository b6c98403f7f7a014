// The case that a client of the matrix gets on its standard input, and its answer.
import fs from "node:fs";

export const HELLO = "Say hello.";
// One red pixel.
export const PICTURE =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8" +
  "DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

// The HTTP status of the error that `call` throws; the AI SDK has the last one within.
export async function statusOf(call) {
  try {
    return await call();
  } catch (error) {
    return (error.lastError ?? error).status ?? (error.lastError ?? error).statusCode ?? String(error);
  }
}

// Runs all scenarios, and prints what each gave as one JSON object.
export async function runScenarios(scenarios) {
  const { keys, ...given } = JSON.parse(fs.readFileSync(0, "utf8"));
  const stored = { id: given.prompt, variables: { name: "Ann" } };
  const header = { "x-valuecanvas-tags": given.tag };
  const found = {};
  for (const [name, scenario] of Object.entries(scenarios)) {
    try {
      found[name] = await scenario({ ...given, stored, header, key: keys[name] });
    } catch (error) {
      found[name] = String(error).slice(0, 500);
    }
  }
  console.log(JSON.stringify(found));
}
