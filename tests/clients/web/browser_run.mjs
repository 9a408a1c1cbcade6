/**
 * Drives the page in Chromium: node browser_run.mjs PLAN RESULT
 *
 * PLAN is JSON: the page's address, Chromium's path, the pictures, files that are none, a folder for
 * screenshots, and pictures whose resized bytes are asked for. RESULT receives what was seen.
 */

import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PATIENCE = { timeout: 120_000 };

const [planFile, resultFile] = process.argv.slice(2);
const plan = JSON.parse(fs.readFileSync(planFile, "utf8"));
const browser = await chromium.launch({ executablePath: plan.chromium, args: ARGUMENTS });
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
const told = { version: browser.version(), requests: [], problems: [] };
context.on("request", (request) => told.requests.push(request.url()));
const page = await context.newPage();
page.on("pageerror", (error) => told.problems.push(String(error)));
page.on("console", (message) => message.type() === "error" && told.problems.push(message.text()));

await open();
told.keyboard = await keyboardRun();
const beforePhotos = told.requests.length;
told.results = [];
told.keptUnasked = await page.evaluate(() => localStorage.length);
if (await page.isVisible("#counting")) await page.check("#counting");
for (const picture of plan.pictures) told.results.push(await score(picture));
told.counts = await savedCounts();
told.requestsByPhotos = told.requests.slice(beforePhotos);
told.resized = await resizedBytes(plan.resized);
told.complaints = [];
for (const file of plan.spoilt) told.complaints.push(await complaint(file));
told.blocked = await triesToSend();
await screenshots();
await context.setOffline(true);
await reloadOffline();
told.problems = told.problems.filter((text) => !/example\.invalid|^(INFO|WARNING): /.test(text));
fs.writeFileSync(resultFile, JSON.stringify(told));
await browser.close();

async function open() {
  await page.goto(plan.address);
  await page.waitForFunction(() => document.body.dataset.ready, null, PATIENCE);
  await page.waitForFunction(() => !document.getElementById("offline").hidden, null, PATIENCE);
}

async function score(picture) {
  const name = path.basename(picture);
  await page.evaluate(() => delete document.body.dataset.result);
  await page.setInputFiles("#library", picture);
  await page.waitForFunction(() => document.body.dataset.result, null, PATIENCE);
  const result = JSON.parse(await page.evaluate(() => document.body.dataset.result));
  if (result.name !== name) throw new Error(`${name} gave the result of ${result.name}`);
  return result;
}

/** What "Save the counts" writes, where there is enough to save. */
async function savedCounts() {
  if (!(await page.isEnabled("#save"))) return null;
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
  return JSON.parse(fs.readFileSync(await download.path(), "utf8"));
}

/** sha256 of what resize.js makes of raw pictures, and of what a changed copy of it makes. */
async function resizedBytes(pictures) {
  const hashes = [];
  for (const { file, width, height } of pictures) {
    const encoded = fs.readFileSync(file).toString("base64");
    hashes.push(
      await page.evaluate(
        async ({ encoded, width, height, module }) => {
          const { resize } = await import(module);
          const rgb = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
          const digest = await crypto.subtle.digest("SHA-256", resize(rgb, width, height));
          return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
        },
        { encoded, width, height, module: new URL(plan.resizeModule, plan.address).href },
      ),
    );
  }
  return hashes;
}

async function complaint(file) {
  await page.evaluate(() => delete document.body.dataset.error);
  await page.setInputFiles("#library", file);
  await page.waitForFunction(() => document.body.dataset.error, null, PATIENCE);
  return page.textContent("#status");
}

/** What Tab reaches first, by the words that a screen reader would say. */
async function keyboardRun() {
  await page.evaluate(() => document.activeElement.blur());
  const reached = [];
  for (let press = 0; press < 2; press++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement.labels?.[0]?.textContent.trim()));
  }
  return reached;
}

/** Whether the page's policy lets a script send something elsewhere. */
async function triesToSend() {
  return page.evaluate(() => fetch("https://example.invalid/", { method: "POST", body: "photo" }).then(() => "sent", String));
}

async function screenshots() {
  for (const width of [390, 1280]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      await score(plan.pictures[1]);
      if (plan.hasMap) await page.check("#where");
      const file = path.join(plan.screenshots, `${width}-${colorScheme}.png`);
      await page.screenshot({ path: file, fullPage: true });
      told.overflow = (told.overflow ?? 0) + (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth));
    }
  }
}

async function reloadOffline() {
  await page.reload();
  await page.waitForFunction(() => document.body.dataset.ready, null, PATIENCE);
  told.offline = await score(plan.pictures[0]);
}
