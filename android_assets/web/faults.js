/** What is wrong with a photo as it was taken, by whole numbers that every client gets alike. */

import { SIZE } from "./resize.js";

const CELLS = 56;
const CELL = SIZE / CELLS;
const BURNT = 245;

/** Why a picture is refused, whatever faults it has beside that. */
export const UNLIKE = "unlike the training pictures";

/** Every reason that there is, with what helps. */
export const ADVICE = {
  "too dark": "take it again with more light",
  "too bright": "take it again with less light",
  "glare": "take it again without reflections: tilt the light, or use contact fluid",
  "blurred": "hold still, and let the camera focus",
  "not in the middle": "put the whole lesion in the middle",
  "too small": "go nearer, until the lesion fills a third of the width",
  "too little lesion": "aim at the lesion: there is hardly anything but skin",
  [UNLIKE]: "it may be no dermoscopic picture of a lesion",
};

/**
 * Levels are grey in 0..255, shares and distances are in 1000ths.
 *
 * @param {Uint8Array} rgb 224 x 224 x 3 bytes
 */
export function measureFaults(rgb) {
  const grey = new Int32Array(SIZE * SIZE);
  const cells = CELLS * CELLS;
  const sums = [new Int32Array(cells), new Int32Array(cells), new Int32Array(cells), new Int32Array(cells)];
  let burnt = 0;
  let clipped = 0;
  for (let place = 0; place < grey.length; place++) {
    const [red, green, blue] = rgb.subarray(3 * place, 3 * place + 3);
    grey[place] = (77 * red + 150 * green + 29 * blue) >> 8;
    if (Math.min(red, green, blue) >= BURNT) burnt++;
    if (Math.max(red, green, blue) === 255) clipped++;
    const cell = Math.floor(place / SIZE / CELL) * CELLS + Math.floor((place % SIZE) / CELL);
    [red, green, blue, grey[place]].forEach((level, colour) => (sums[colour][cell] += level));
  }
  const levels = grey.slice().sort();
  return {
    light: levels[Math.floor((levels.length * 9) / 10)],
    middle: levels[Math.floor(levels.length / 2)],
    burnt: Math.floor((burnt * 1000) / levels.length),
    clipped: Math.floor((clipped * 1000) / levels.length),
    detail: Math.floor((differences(grey, 2) * 1000) / Math.max(1, differences(grey, 8))),
    ...measureCells(sums),
  };
}

/** The faults of a picture's numbers, none of a good photo. */
export function nameFaults(found) {
  const isBurnt = found.burnt > 12;
  const hasLesion = found.contrast >= 27;
  const isBright = found.clipped > 200 || (isBurnt && found.middle >= 215);
  const isSmall = found.area < 58 && found.contrast >= 10;
  const checks = {
    "too dark": found.light < 100,
    "too bright": isBright,
    "glare": isBurnt && !isBright,
    "blurred": found.detail < 269,
    "too little lesion": !hasLesion && !isSmall,
    "too small": isSmall,
    "not in the middle": hasLesion && !isSmall && found.offset > 205,
  };
  return Object.keys(checks).filter((name) => checks[name]);
}

/** The sum of differences of level, down and across. */
function differences(grey, step) {
  let sum = 0;
  for (let place = 0; place < grey.length; place++) {
    if (place >= step * SIZE) sum += Math.abs(grey[place] - grey[place - step * SIZE]);
    if (place % SIZE >= step) sum += Math.abs(grey[place] - grey[place - step]);
  }
  return sum;
}

/** By cells of a few pixels within the disc that fits into the picture: no black corners. */
function measureCells([reds, greens, blues, greys]) {
  const cells = greys.map((sum) => Math.floor(sum / CELL ** 2));
  const at = (index) => 2 * index + 1 - CELLS;
  const row = (cell) => at(Math.floor(cell / CELLS));
  const column = (cell) => at(cell % CELLS);
  const disc = Array.from(cells.keys()).filter((cell) => row(cell) ** 2 + column(cell) ** 2 <= CELLS ** 2);
  const sorted = Int32Array.from(disc, (cell) => cells[cell]).sort();
  const level = (part) => sorted[Math.floor((sorted.length * part) / 1000)];
  const [skin, lesion] = [level(800), level(5)];
  const total = (some, value) => some.reduce((sum, cell) => sum + value(cell), 0);
  const darkness = (cell) => Math.min(Math.max(skin - cells[cell], 0), skin - lesion);
  const whole = Math.max(1, total(disc, darkness));
  const [down, across] = [row, column].map((place) => Math.abs(total(disc, (cell) => darkness(cell) * place(cell))));
  const light = disc.filter((cell) => cells[cell] >= level(900));
  const green = Math.max(1, total(light, (cell) => greens[cell]));
  const highest = (cell) => Math.max(reds[cell], greens[cell], blues[cell]);
  const spread = (cell) => highest(cell) - Math.min(reds[cell], greens[cell], blues[cell]);
  return {
    contrast: skin - lesion,
    area: Math.floor((whole * 1000) / (Math.max(1, skin - lesion) * sorted.length)),
    offset: Math.floor((Math.max(down, across) * 500) / (whole * CELLS)),
    red: Math.floor((total(light, (cell) => reds[cell]) * 1000) / green),
    blue: Math.floor((total(light, (cell) => blues[cell]) * 1000) / green),
    colour: Math.floor((total(disc, spread) * 1000) / Math.max(1, total(disc, highest))),
  };
}
