package org.hwbench.harness

import android.app.Activity
import android.os.Bundle
import android.view.WindowManager
import android.widget.TextView

/** Keeps the app in front and the screen on while a plan runs, so that the system gives it all cores. */
class MainActivity : Activity() {
    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        // Asked for, the folder is made.
        val folder = getExternalFilesDir(null)
        setContentView(TextView(this).apply { text = "hwbench runs plans here by `am instrument`.\n\nTheir folder: $folder" })
    }
}
