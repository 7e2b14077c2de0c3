package org.hwbench.harness

import androidx.test.core.app.ActivityScenario
import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith

/** Runs the plan that `am instrument -e plan NAME -e results NAME` names, both below the app's external files. */
@RunWith(AndroidJUnit4::class)
class PlanTest {
    @Test
    fun runsThePlan() {
        val app = InstrumentationRegistry.getInstrumentation().targetContext
        val folder = requireNotNull(app.getExternalFilesDir(null)) { "there is no external storage" }
        val plan = named(folder, "plan")
        val results = named(folder, "results")
        ActivityScenario.launch(MainActivity::class.java).use {
            val libraries = File(app.applicationInfo.nativeLibraryDir)
            assertEquals("complete", Launch(Plan.read(plan), plan.parentFile!!, results, libraries).run())
        }
    }

    private fun named(folder: File, argument: String): File {
        val name = requireNotNull(InstrumentationRegistry.getArguments().getString(argument)) { "-e $argument NAME is missing" }
        require(".." !in name.split("/") && !name.startsWith("/")) { "$argument leaves the folder of the app" }
        return File(folder, name)
    }
}
