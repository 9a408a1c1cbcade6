package android.content.res

import java.io.File
import java.io.FileNotFoundException
import java.io.InputStream

class AssetManager(private val folder: File) : AutoCloseable {
    fun open(fileName: String): InputStream {
        val file = folder.resolve(fileName)
        if (!file.isFile) throw FileNotFoundException(fileName)
        return file.inputStream()
    }

    fun list(path: String): Array<String>? = folder.resolve(path).list()

    override fun close() = Unit
}
