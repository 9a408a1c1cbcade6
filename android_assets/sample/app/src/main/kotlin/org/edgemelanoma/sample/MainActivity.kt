package org.edgemelanoma.sample

import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.ImageView
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts.PickVisualMedia
import androidx.activity.viewModels

/**
 * Lets a person choose a photo and shows P(malignant), the decision at the shipped threshold, how
 * good that threshold was measured to be, and the disclaimer. The photo stays on the device.
 */
class MainActivity : ComponentActivity() {
    private val model: LesionViewModel by viewModels()

    private val pickPhoto = registerForActivityResult(PickVisualMedia()) { uri ->
        if (uri != null) model.score(uri)
    }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_main)
        findViewById<Button>(R.id.choose).setOnClickListener {
            pickPhoto.launch(PickVisualMediaRequest(PickVisualMedia.ImageOnly))
        }
        model.screen.observe(this) { show(it) }
    }

    private fun show(screen: Screen) {
        findViewById<TextView>(R.id.result).text = screen.result
        findViewById<TextView>(R.id.disclaimer).text = screen.disclaimer
        findViewById<TextView>(R.id.operating_point).text = screen.operatingPoint
        findViewById<Button>(R.id.choose).isEnabled = screen.isReady
        findViewById<ImageView>(R.id.photo).apply {
            setImageBitmap(screen.preview)
            visibility = if (screen.preview == null) View.GONE else View.VISIBLE
        }
    }
}
