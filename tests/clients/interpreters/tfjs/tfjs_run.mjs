/**
 * Scores pictures by tfjs-tflite in Chromium: node tfjs_run.mjs PLAN RESULT
 *
 * PLAN is JSON: the address of a folder with index.html, Chromium's path, and pictures as base64 of
 * 224 x 224 x 3 bytes. RESULT receives the browser's version and the outputs.
 */

import fs from "node:fs";
import { chromium } from "playwright-core";

const [planFile, resultFile] = process.argv.slice(2);
const plan = JSON.parse(fs.readFileSync(planFile, "utf8"));
const browser = await chromium.launch({ executablePath: plan.chromium, args: plan.arguments });
const page = await browser.newPage();
await page.goto(plan.address);
await page.evaluate(async () => {
  tflite.setWasmPath("wasm/");
  globalThis.model = await tflite.loadTFLiteModel("model.tflite", { numThreads: 1 });
});
const outputs = [];
for (const picture of plan.pictures) {
  outputs.push(
    await page.evaluate(async (encoded) => {
      const bytes = Int32Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
      const input = tf.tensor(bytes, [1, 224, 224, 3], "int32");
      return (await model.predict(input).data())[0];
    }, picture),
  );
}
fs.writeFileSync(resultFile, JSON.stringify({ version: browser.version(), outputs }));
await browser.close();
