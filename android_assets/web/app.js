/** The page: a photo in, what the network sees, and what it says of it. */

import { PictureCounts } from "./counts.js";
import { ADVICE } from "./faults.js";
import { drawHeat } from "./heat.js";
import { PhotoError, readPhoto } from "./photo.js";
import { resize, SIZE } from "./resize.js";
import { openScorer } from "./scorer.js";

const page = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (element) => [element.id, element]));
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const base = new URL(".", location.href);

const opening = openScorer(base);
opening.then(showReady, (error) => complain(error.message));

for (const input of [page.camera, page.library]) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = "";
    if (file) show(file);
  });
}
page.where.addEventListener("change", () => {
  page.heat.hidden = !page.where.checked;
  page.legend.hidden = !page.where.checked;
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) show(file);
});

/** What a person is told; a model with one threshold never refers. */
const ANSWERS = {
  flagged: "At or above the threshold: flagged.",
  refer: "Between the thresholds: see a doctor anyway.",
  "not flagged": "Below the threshold: not flagged. That does not mean benign.",
};

let latest = 0;
let counts = null;

/** Score one photo; of several in a row only the last one counts. */
async function show(file) {
  const turn = ++latest;
  page.status.textContent = `Reading ${file.name} ...`;
  page.status.className = "";
  try {
    const scorer = await opening;
    const photo = await readPhoto(file);
    const start = performance.now();
    const rgb = resize(photo.rgb, photo.width, photo.height);
    const resized = performance.now();
    const result = await scorer.score(rgb);
    const times = { resize: resized - start, model: performance.now() - resized };
    counts?.add(result);
    showCounts();
    if (turn === latest) showResult({ file, photo, rgb, result, times, scorer });
  } catch (error) {
    if (turn !== latest) return;
    page.result.hidden = true;
    complain(error instanceof PhotoError ? error.message : `${file.name}: ${error.message}`);
  }
}

page.counting.addEventListener("change", () => {
  counts.switch(page.counting.checked);
  showCounts();
});
page.save.addEventListener("click", () => {
  const file = new Blob([JSON.stringify(counts.export())], { type: "application/json" });
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: "counts.json" });
  link.click();
  URL.revokeObjectURL(link.href);
});

function showCounts() {
  page.save.disabled = !counts?.export();
}

function showReady(scorer) {
  if (scorer.info.counts && scorer.entry.gate) {
    counts = new PictureCounts(scorer.info.counts);
    page.counts.hidden = false;
    page.counting.checked = counts.isOn;
    showCounts();
  }
  page.threshold.textContent = percent.format(scorer.threshold);
  page.measured.replaceChildren(...scorer.info.operating_point.measured.map(measuredRow));
  page["measured-with"].textContent = scorer.info.operating_point.measured_with;
  page.model.textContent = `${scorer.entry.file}, sha256 ${scorer.entry.sha256.slice(0, 12)}`;
  if (!latest) page.status.textContent = "Ready. Take or choose a dermoscopic photo.";
  document.body.dataset.ready = "yes";
  keepForOffline();
}

function showResult({ file, photo, rgb, result, times, scorer }) {
  drawPixels(page.seen, rgb);
  page.overlay.hidden = !result.map;
  if (result.map) drawHeat(page.heat, result.map);
  const isJudged = result.p !== null;
  const advice = (result.gate?.reasons ?? []).map((reason) => `${reason}: ${ADVICE[reason]}.`).join(" ");
  page.needle.style.setProperty("--p", result.p ?? 0);
  page.needle.parentElement.hidden = !isJudged;
  page.mark.style.setProperty("--p", scorer.threshold);
  page.probability.textContent = isJudged ? percent.format(result.p) : "Not judged";
  page.decision.textContent = `${isJudged ? ANSWERS[result.answer] : ""} ${advice}`.trim();
  page.result.className = isJudged && result.isMalignant ? "card malignant" : "card benign";
  page.photo.textContent = `${file.name}, ${photo.width} x ${photo.height} pixels`;
  page.time.textContent = `${times.resize.toFixed(0)} ms to resize, ${times.model.toFixed(0)} ms to run the model`;
  page.result.hidden = false;
  const told = isJudged ? `${percent.format(result.p)} malignant` : "not judged";
  page.status.textContent = `${file.name}: ${told}. ${page.decision.textContent} Not a diagnosis.`;
  document.body.dataset.result = JSON.stringify({ name: file.name, ...result, map: result.map && Array.from(result.map) });
}

function measuredRow(found) {
  const row = document.createElement("tr");
  const cells = [found.set, share(found, "recall"), share(found, "specificity"), found.images, found.malignant];
  cells.forEach((text, column) => {
    const cell = document.createElement(column ? "td" : "th");
    if (!column) cell.scope = "row";
    cell.textContent = text;
    row.append(cell);
  });
  return row;
}

function share(found, name) {
  const [low, high] = found[`${name}_interval`];
  return `${found[name].toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
}

function drawPixels(canvas, rgb) {
  const pixels = new ImageData(SIZE, SIZE);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    pixels.data.set([rgb[from], rgb[from + 1], rgb[from + 2], 255], to);
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

function complain(sentence) {
  page.status.textContent = sentence;
  page.status.className = "error";
  document.body.dataset.error = sentence;
}

/** Once all is loaded, keep all of it, so that the page opens again without a network. */
async function keepForOffline() {
  if (!("serviceWorker" in navigator)) return;
  const registration = await navigator.serviceWorker.register("service-worker.js");
  await navigator.serviceWorker.ready;
  const urls = performance.getEntriesByType("resource").map((entry) => entry.name);
  registration.active.postMessage(urls.filter((url) => url.startsWith(base.href)));
  await new Promise((resolve) => navigator.serviceWorker.addEventListener("message", resolve, { once: true }));
  page.offline.hidden = false;
}
