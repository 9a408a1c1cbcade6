package org.edgemelanoma.desktop

import java.io.File
import java.security.MessageDigest

/**
 * Pictures as Pillow decodes them, for those that ImageIO decodes otherwise: JPEG decoders may
 * differ by a few grey levels, and what is compared here is what comes after the decoder.
 */
object DecodedPixels {
    /** Holds `<sha256 of the encoded file>.rgb`: the stored pixels, three bytes each. */
    lateinit var folder: File

    /** Names of pictures that were handed over. */
    val handedOver = mutableSetOf<String>()

    fun insteadOf(colors: IntArray, encoded: ByteArray): IntArray {
        val name = sha256(encoded)
        val file = folder.resolve("$name.rgb")
        if (!file.isFile) return colors
        val rgb = file.readBytes()
        fun level(index: Int) = rgb[index].toInt() and 0xFF
        val decoded = IntArray(colors.size) {
            (0xFF shl 24) + (level(3 * it) shl 16) + (level(3 * it + 1) shl 8) + level(3 * it + 2)
        }
        if (!decoded.contentEquals(colors)) handedOver += name
        return decoded
    }
}

/** sha256 as 64 hexadecimal digits, by itself: the shipped code is under test. */
fun sha256(bytes: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }
