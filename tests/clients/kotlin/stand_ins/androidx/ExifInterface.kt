package androidx.exifinterface.media

import java.io.InputStream

class ExifInterface(@Suppress("unused") private val stream: InputStream) {
    fun getAttributeInt(tag: String, defaultValue: Int): Int =
        if (tag == TAG_ORIENTATION) 1 else defaultValue

    companion object {
        const val TAG_ORIENTATION = "Orientation"
        const val ORIENTATION_UNDEFINED = 0
    }
}
