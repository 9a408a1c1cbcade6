package org.edgemelanoma.sample

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Matrix
import android.net.Uri
import androidx.exifinterface.media.ExifInterface
import java.io.IOException
import java.io.InputStream
import org.edgemelanoma.Orientation

/** More cannot be held in memory by every phone: four bytes a pixel. */
private const val LARGEST_PIXEL_COUNT = 50_000_000L

/** A photo as it is stored, and how it is to be turned. */
internal class Photo(val bitmap: Bitmap, val orientation: Orientation) {
    /** A copy for the screen, upright and with sides of at most [longestSide] pixels. */
    fun upright(longestSide: Int): Bitmap {
        val scale = minOf(1f, longestSide.toFloat() / maxOf(bitmap.width, bitmap.height))
        val matrix = Matrix().apply {
            postScale(scale, scale)
            when (orientation) {
                Orientation.UPRIGHT -> Unit
                Orientation.MIRRORED -> postScale(-1f, 1f)
                Orientation.TURNED_180 -> postRotate(180f)
                Orientation.FLIPPED -> postScale(1f, -1f)
                Orientation.TRANSPOSED -> { postRotate(90f); postScale(-1f, 1f) }
                Orientation.TURNED_90 -> postRotate(90f)
                Orientation.TRANSVERSED -> { postRotate(270f); postScale(-1f, 1f) }
                Orientation.TURNED_270 -> postRotate(270f)
            }
        }
        return Bitmap.createBitmap(bitmap, 0, 0, bitmap.width, bitmap.height, matrix, true)
    }
}

/**
 * The photo at [uri] with all its pixels: a decoder that shrinks on the way (`inSampleSize`) would
 * give the network other pixels than it was measured with.
 *
 * @throws IOException it cannot be opened, is no picture, or has too many pixels
 */
internal fun readPhoto(resolver: ContentResolver, uri: Uri): Photo {
    val size = BitmapFactory.Options().apply { inJustDecodeBounds = true }
    resolver.read(uri) { BitmapFactory.decodeStream(it, null, size) }
    if (size.outWidth.toLong() * size.outHeight > LARGEST_PIXEL_COUNT) {
        throw IOException("${size.outWidth} x ${size.outHeight} pixels are too many.")
    }
    val exif = resolver.read(uri) {
        ExifInterface(it)
            .getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_UNDEFINED)
    }
    val options = BitmapFactory.Options().apply { inPreferredConfig = Bitmap.Config.ARGB_8888 }
    val bitmap = resolver.read(uri) { BitmapFactory.decodeStream(it, null, options) }
        ?: throw IOException("it is no picture that Android knows.")
    return Photo(bitmap, Orientation.ofExif(exif))
}

private fun <T> ContentResolver.read(uri: Uri, work: (InputStream) -> T): T =
    (openInputStream(uri) ?: throw IOException("it cannot be opened.")).use(work)
