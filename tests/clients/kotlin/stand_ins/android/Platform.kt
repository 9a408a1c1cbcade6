package android.os

class Bundle

object Build {
    object VERSION {
        const val SDK_INT = 36
    }

    object VERSION_CODES {
        const val O = 26
    }
}
