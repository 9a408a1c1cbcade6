/** From a file that a person chose to upright RGB bytes, or one clear sentence. */

const LARGEST_PIXEL_COUNT = 50_000_000;

/** What is wrong with a file, in a sentence for the person who chose it. */
export class PhotoError extends Error {}

/**
 * EXIF turns are applied; colours are taken as they are stored, as Python takes them.
 *
 * @returns {Promise<{rgb: Uint8Array, width: number, height: number}>}
 */
export async function readPhoto(file) {
  if (file.size === 0) throw new PhotoError(`${file.name} is empty; choose another photo.`);
  const bitmap = await decode(file);
  try {
    const { width, height } = bitmap;
    if (width * height > LARGEST_PIXEL_COUNT) {
      throw new PhotoError(`${file.name} has ${width} x ${height} pixels; choose one with at most 50 million.`);
    }
    return { rgb: withoutAlpha(pixelsOf(bitmap)), width, height };
  } finally {
    bitmap.close();
  }
}

async function decode(file) {
  try {
    return await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch {
    throw new PhotoError(`${file.name} is not a picture that this browser can read; choose a JPEG or PNG photo.`);
  }
}

function pixelsOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height).data;
}

/** What is transparent is laid on white. */
function withoutAlpha(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const alpha = rgba[from + 3];
    for (let channel = 0; channel < 3; channel++) {
      const value = rgba[from + channel];
      rgb[to + channel] = alpha === 255 ? value : Math.round((value * alpha + 255 * (255 - alpha)) / 255);
    }
  }
  return rgb;
}
