/** How many pictures fell into which bin, for `edge-melanoma drift`: kept on this device, if at all. */

const KEY = "edge-melanoma-counts";

/** Judged pictures that what leaves the device grows by, so that it tells of no single one. */
export const LEAST = 20;

/** The bin of each measure of a result; of a picture that is not judged that of its distance alone. */
export function binsOf({ edges }, { p, gate }) {
  const { red, blue, colour, light, detail } = gate.measures;
  const distance = { gate: Math.floor((gate.distance * 1000) / gate.limit) };
  const values = p === null ? distance : { ...distance, score: Math.floor(p * 256), red, blue, colour, light, detail };
  return Object.entries(values).map(([name, value]) => [name, edges[name].filter((edge) => edge <= value).length]);
}

/** Off until it is switched on; switched off, it forgets all. */
export class PictureCounts {
  /** @param {object} rules the block `counts` of model_info.json */
  constructor(rules) {
    this.rules = rules;
    const saved = JSON.parse(localStorage.getItem(KEY) ?? "null");
    this.state = saved?.reference === rules.reference ? saved : null;
  }

  get isOn() {
    return this.state !== null;
  }

  switch(isOn) {
    const { reference } = this.rules;
    this.state = isOn ? { reference, kept: this.#nothing(), recent: this.#nothing() } : null;
    this.#save();
  }

  add(result) {
    if (!this.isOn || !result.gate) return;
    const { kept, recent } = this.state;
    for (const [name, bin] of binsOf(this.rules, result)) recent[name][bin]++;
    if (sum(recent.score) >= LEAST) {
      for (const name of Object.keys(kept)) kept[name] = kept[name].map((count, bin) => count + recent[name][bin]);
      this.state.recent = this.#nothing();
    }
    this.#save();
  }

  /** What may leave the device; nothing of fewer than LEAST judged pictures. */
  export() {
    const pictures = this.isOn ? sum(this.state.kept.gate) : 0;
    return pictures ? { schema: 1, reference: this.rules.reference, pictures, counts: this.state.kept } : null;
  }

  #nothing() {
    return Object.fromEntries(Object.entries(this.rules.edges).map(([name, edges]) => [name, Array(edges.length + 1).fill(0)]));
  }

  #save() {
    if (this.isOn) localStorage.setItem(KEY, JSON.stringify(this.state));
    else localStorage.removeItem(KEY);
  }
}

function sum(bins) {
  return bins.reduce((total, count) => total + count, 0);
}
