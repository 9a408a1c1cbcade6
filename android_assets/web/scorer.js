/** The model of this page: checked against model_info.json, run by LiteRT.js in WebAssembly. */

import { loadAndCompile, loadLiteRt, Tensor } from "./litert/core.js";
import { measureFaults, nameFaults, UNLIKE } from "./faults.js";
import { RESIZE_ID, SIZE } from "./resize.js";

const UINT8 = "melanoma_uint8.tflite";
const STEPS = 256;

/** Why the page cannot work, in a sentence. */
export class ModelError extends Error {}

/**
 * Load the model that site.json names.
 *
 * @param {URL} base the folder of the page
 * @returns {Promise<Scorer>}
 */
export async function openScorer(base) {
  const site = await fetchFile(new URL("site.json", base), "json");
  const info = await fetchFile(new URL("model/model_info.json", base), "json");
  const entry = info.models.find((model) => model.file === site.model);
  if (!entry) throw new ModelError(`model_info.json says nothing of ${site.model}; write the page again.`);
  refuseOtherPreprocessing(info.preprocessing);
  const bytes = await fetchFile(new URL(`model/${entry.file}`, base), "arrayBuffer");
  await refuseChanged(entry, bytes);
  try {
    await loadLiteRt(new URL("litert/wasm/", base).href);
    return new Scorer(await loadAndCompile(new Uint8Array(bytes), { accelerator: "wasm" }), entry, info);
  } catch (error) {
    throw new ModelError(`This browser cannot run the model (${error}); use a current one with WebAssembly.`);
  }
}

/** One model, ready for pictures of 224 x 224 pixels. */
export class Scorer {
  constructor(model, entry, info) {
    Object.assign(this, { model, entry, info });
  }

  /** The probability from which on the model says malignant. */
  get threshold() {
    return this.entry.threshold.float;
  }

  /**
   * @param {Uint8Array} rgb 224 x 224 x 3 bytes
   * A picture that the model cannot judge has neither p nor a decision; its gate says why. The
   * answer is flagged, not flagged, not judged or, between two thresholds, refer.
   *
   * @returns {Promise<{p: ?number, integer: ?number, isMalignant: ?boolean, answer: string, gate: ?object, map: ?Float32Array}>}
   */
  async score(rgb) {
    const takesBytes = this.entry.file === UINT8;
    const input = new Tensor(takesBytes ? rgb : Float32Array.from(rgb, (value) => value / 255), [1, SIZE, SIZE, 3]);
    const outputs = await this.model.run(input);
    const values = await Promise.all(outputs.map((output) => output.data()));
    const single = values.find((value) => value.length === 1)[0];
    const told = this.entry.gate;
    const components = told && values.find((value) => value.length === told.shape.at(-1));
    const map = values.find((value) => value.length === 49);
    const { upper, ...lower } = this.entry.threshold;
    const reaches = (end) => single >= (takesBytes ? end.integer : end.float);
    const isMalignant = reaches(lower);
    const answer = !isMalignant ? "not flagged" : reaches(upper ?? lower) ? "flagged" : "refer";
    const result = { p: takesBytes ? single / STEPS : single, integer: takesBytes ? single : null, isMalignant, answer };
    result.map = map ? Float32Array.from(map) : null;
    result.gate = components ? readGate(told, components, rgb) : null;
    if (result.gate && !result.gate.in_domain) Object.assign(result, { p: null, isMalignant: null, answer: "not judged" });
    [input, ...outputs].forEach((tensor) => tensor.delete());
    return result;
  }
}

/** Where a picture lies, by the rule of model_info.json, and what is wrong with it as it was taken. */
function readGate(told, components, rgb) {
  const isInteger = told.limit_integer !== null;
  const [zero, scale] = isInteger ? [told.zero_point, told.scale] : [0, 1];
  const first = components.length - told.one_sided;
  const sum = components.reduce((total, q, index) => {
    const value = q - zero;
    return index >= first && value < 0 ? total : total + value * value;
  }, 0);
  const in_domain = sum <= (isInteger ? told.limit_integer : told.limit);
  const measures = measureFaults(rgb);
  const reasons = [...(in_domain ? [] : [UNLIKE]), ...nameFaults(measures)];
  return { distance: sum * scale * scale, limit: told.limit, in_domain, reasons, measures };
}

async function fetchFile(url, kind) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new ModelError(`${url.pathname} cannot be fetched; is the page's server running?`);
  }
  if (!response.ok) throw new ModelError(`${url.pathname} is missing on this server; write the page again.`);
  return response[kind]();
}

function refuseOtherPreprocessing(told) {
  const isKnown = told.resize_id === RESIZE_ID && told.width === SIZE && told.height === SIZE;
  if (!isKnown || told.crop !== "none") {
    throw new ModelError(`The model wants pictures by ${told.resize_id}, crop ${told.crop}; this page squashes the whole frame by ${RESIZE_ID}.`);
  }
}

async function refuseChanged(entry, bytes) {
  if (!globalThis.crypto?.subtle) {
    throw new ModelError("The model cannot be checked here; open the page by https or on this machine.");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== entry.sha256) {
    throw new ModelError(`${entry.file} is not the model that model_info.json describes; write the page again.`);
  }
}
