/** The 7 x 7 activation map, drawn over the picture: red spoke for malignant, blue for benign. */

const STRONGEST = 0.55;
const RED = [208, 32, 32];
const BLUE = [32, 96, 208];

/** @param {Float32Array} map 49 values in units of the logit */
export function drawHeat(canvas, map) {
  const side = Math.round(Math.sqrt(map.length));
  const peak = Math.max(...map.map(Math.abs), Number.EPSILON);
  const small = new OffscreenCanvas(side, side);
  const pixels = new ImageData(side, side);
  map.forEach((value, place) => {
    const colour = value > 0 ? RED : BLUE;
    pixels.data.set([...colour, (255 * STRONGEST * Math.abs(value)) / peak], place * 4);
  });
  small.getContext("2d").putImageData(pixels, 0, 0);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}
