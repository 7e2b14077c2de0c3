"""The app in android_harness/app, as far as it can be checked without the Android SDK: names, fields, versions."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from hwbench.measure.plan import (
    PLAN_SCHEMA,
    PROTOCOL,
    Burst,
    FailureLine,
    FooterLine,
    Job,
    LaunchLine,
    LoadLine,
    OutputDigest,
    Plan,
    UsageLine,
    VisitLine,
)
from tests.conftest import ROOT
from tests.fake_phone import HARNESS

APP = HARNESS / "app"
MANIFEST = APP / "src" / "main" / "AndroidManifest.xml"
NAME = "{http://schemas.android.com/apk/res/android}name"
SOURCES = {path.name: path.read_text() for path in sorted((APP / "src").rglob("*.kt"))}
GRADLE = (APP / "build.gradle.kts").read_text()
README = (HARNESS / "README.md").read_text()
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")


def fields(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def setting(name: str) -> str:
    """A quoted value of the Gradle file."""
    match = re.search(rf'\b{name} = "([^"]+)"', GRADLE)
    assert match is not None, name
    return match[1]


def call(source: str, begin: str) -> str:
    """The arguments of the first call that begins so."""
    start = source.index(begin)
    depth = 0
    for place in range(source.index("(", start), len(source)):
        depth += {"(": 1, ")": -1}.get(source[place], 0)
        if depth == 0:
            return source[start:place]
    raise AssertionError(f"{begin} has no end")


LINES: dict[str, type[msgspec.Struct]] = {
    "launch": LaunchLine,
    "load": LoadLine,
    "visit": VisitLine,
    "failure": FailureLine,
    "usage": UsageLine,
}


@pytest.mark.parametrize("kind", LINES)
def test_result_lines_have_the_fields_of_the_protocol(kind: str) -> None:
    source = re.sub(r"line\(\s+", "line(", SOURCES["Launch.kt"])
    written = re.findall(r'"(\w+)" to ', call(source, f'line("{kind}"'))
    assert set(written) == fields(LINES[kind])
    assert len(written) == len(set(written))


def test_footers_and_digests_have_the_fields_of_the_protocol() -> None:
    source = SOURCES["ResultFile.kt"]
    assert set(re.findall(r'"(\w+)" to ', call(source, 'encoded("footer"'))) == fields(FooterLine)
    digest = source[source.index("is Digest ->") : source.index("else -> value")]
    assert set(re.findall(r'put\("(\w+)"', digest)) == fields(OutputDigest)


def test_every_field_of_a_plan_is_read() -> None:
    source = SOURCES["Plan.kt"]
    read = re.findall(r'\b(plan|fields)\.(?:integer|number|string|boolean|oneOf|child|array)\("(\w+)"', source)
    # The app makes time passes alone.
    assert {name for owner, name in read if owner == "plan"} == fields(Plan) - {"evaluation"}
    assert {name for owner, name in read if owner == "fields"} == fields(Burst) | fields(Job)
    assert f"const val PROTOCOL = {PROTOCOL}\n" in source
    assert PLAN_SCHEMA.replace(str(PROTOCOL), "$PROTOCOL") in source


def test_the_manifest_names_what_is_there() -> None:
    root = ET.parse(MANIFEST).getroot()
    activities = [activity.attrib[NAME] for activity in root.iter("activity")]
    assert activities == [f"{setting('namespace')}.MainActivity"]
    assert "class MainActivity : Activity()" in SOURCES["MainActivity.kt"]
    assert [action.attrib[NAME] for action in root.iter("action")] == ["android.intent.action.MAIN"]
    # An app that takes no permission can do nothing but measure.
    assert list(root.iter("uses-permission")) == []


def test_the_manifest_is_one_for_aapt(tmp_path: Path) -> None:
    aapt = shutil.which("aapt")
    if aapt is None or not FRAMEWORK.exists():
        pytest.skip("aapt and android-framework-res are not installed")
    # Gradle gives the manifest its package and versions.
    text = MANIFEST.read_text().replace("<manifest ", f'<manifest package="{setting("namespace")}" ', 1)
    (tmp_path / "AndroidManifest.xml").write_text(text)
    apk = tmp_path / "app.apk"
    package = [aapt, "package", "-M", tmp_path / "AndroidManifest.xml", "-I", FRAMEWORK, "-F", apk]
    subprocess.run([*package, "--min-sdk-version", "29"], check=True, capture_output=True)
    badging = subprocess.run([aapt, "dump", "badging", apk], check=True, capture_output=True, text=True).stdout
    assert f"package: name='{setting('applicationId')}'" in badging
    assert f"launchable-activity: name='{setting('namespace')}.MainActivity'" in badging


def test_sources_lie_where_gradle_looks_for_them() -> None:
    folder = Path(*setting("namespace").split("."))
    for path in (APP / "src").rglob("*.kt"):
        assert path.relative_to(APP / "src").parts[:2] in {("main", "kotlin"), ("androidTest", "kotlin")}
        assert path.parent.relative_to(APP / "src").parts[2:] == folder.parts
        assert path.read_text().startswith(f"package {setting('namespace')}\n")
    assert {path.name for path in APP.iterdir()} >= {"build.gradle.kts", "settings.gradle.kts", "gradle.properties"}
    # A single module: nothing else is included or read.
    assert not re.search(
        r"\b(include|includeBuild|files|fileTree|apply)\(", GRADLE + (APP / "settings.gradle.kts").read_text()
    )


def test_the_commands_of_the_page_are_those_of_the_build() -> None:
    assert f"{setting('applicationId')}.test/{setting('testInstrumentationRunner')}" in README
    assert f"/sdcard/Android/data/{setting('applicationId')}/files/" in README
    build_type = setting("testBuildType")
    assert f"install{build_type.title()} install{build_type.title()}AndroidTest" in README
    for argument in re.findall(r'named\(folder, "(\w+)"\)', SOURCES["PlanTest.kt"]):
        assert f"-e {argument} " in README
    assert "minSdk = 29" in GRADLE
    assert "Android 10 or later" in README


def test_the_app_has_the_engine_of_the_host() -> None:
    """Else a table of a GPU and one of its processor would be of two engines."""
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    version = re.search(r'val litert = "([^"]+)"', GRADLE)
    assert version is not None
    assert f"ai-edge-litert=={version[1]}" in pins


def test_the_page_says_what_is_not_run() -> None:
    assert "Continuous integration does **not** build or run the app" in README
