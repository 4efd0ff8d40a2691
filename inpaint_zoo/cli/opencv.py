"""Explain problems of OpenCV: several distributions install the same package `cv2`, and not all fit a server."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["opencv_advice", "opencv_builds"]

BUILDS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


def opencv_builds() -> dict[str, str]:
    """Return the installed distributions of OpenCV with their versions."""
    found: dict[str, str] = {}
    for name in BUILDS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def opencv_advice(failure: str = "") -> str | None:
    """Return what is wrong with the installed distributions of OpenCV and how to mend it; None if nothing is.

    Args:
        failure: Message of an error of the import or use of `cv2`.
    """
    builds = opencv_builds()
    mend = f"pip uninstall -y {' '.join(builds)}; pip install opencv-python-headless"
    named = " and ".join(f"{name} {number}" for name, number in builds.items())
    if len(builds) > 1:
        return (
            f"{named} are installed together. They write the same files, so that parts of both are mixed, and the "
            f"removal of one damages the other. Keep one: {mend}"
        )
    if "libGL" in failure or "libgthread" in failure:
        return f"{named} needs libraries of a display. Install the build without them: {mend}"
    return None
