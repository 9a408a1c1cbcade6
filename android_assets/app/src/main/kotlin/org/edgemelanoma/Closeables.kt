package org.edgemelanoma

/** Closes what was opened, last first, however far the opening came. */
internal class Closeables : AutoCloseable {
    private val kept = ArrayDeque<AutoCloseable>()

    /** Remember [resource] and return it. */
    fun <T : AutoCloseable> keep(resource: T): T = resource.also(kept::addLast)

    override fun close() {
        while (true) (kept.removeLastOrNull() ?: return).close()
    }
}
