package org.edgemelanoma

import android.content.res.AssetManager
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest

/** Reads model_info.json and model files from an app's assets. */
internal class ModelAssets(private val assets: AssetManager) {
    /** @throws ModelInfoException the file is missing or cannot be used */
    fun info(): ModelInfo {
        val text = try {
            assets.open(INFO).use { it.readBytes() }
        } catch (error: IOException) {
            throw ModelInfoException(
                "The assets hold no $INFO; copy app/src/main/assets of the bundle whole.",
                error,
            )
        }
        return ModelInfo.parse(text.toString(Charsets.UTF_8))
    }

    /**
     * The bytes of [model] in memory that native code can use, after their hash was compared.
     *
     * A single changed bit mostly gives other scores without any error, so nothing runs before.
     *
     * @throws ChangedModelException the file is missing or not the one that was described
     */
    fun verified(model: ModelFile): ByteBuffer {
        val bytes = try {
            assets.open(model.file).use { it.readBytes() }
        } catch (error: IOException) {
            throw ChangedModelException(
                "The assets hold no ${model.file}; copy app/src/main/assets of the bundle whole.",
                error,
            )
        }
        val sha256 = sha256(bytes)
        if (!sha256.equals(model.sha256, ignoreCase = true)) {
            throw ChangedModelException(
                "${model.file} is not the file that $INFO describes (sha256 $sha256, expected " +
                    "${model.sha256}); copy both from one bundle.",
            )
        }
        return ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes)
    }

    companion object {
        const val INFO = "model_info.json"

        /** sha256 as 64 hexadecimal digits. */
        fun sha256(bytes: ByteArray): String =
            MessageDigest.getInstance("SHA-256")
                .digest(bytes)
                .joinToString("") { "%02x".format(it) }
    }
}
